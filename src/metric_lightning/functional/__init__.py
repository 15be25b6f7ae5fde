"""Pure tensor functions: no state, no modules, no devices of their own."""
