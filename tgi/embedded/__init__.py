"""A model server for machines without a GPU: TGI's protocol over an extractive model."""
