"""Documents cut into chunks of so many tokens: one module per way of cutting."""
