"""llama.cpp through llama-cpp-python's low-level API. Nothing here is imported before an engine is loaded."""
