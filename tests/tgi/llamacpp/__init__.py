"""The client on a real server that others wrote: llama.cpp's, through llama-cpp-python."""
