"""The demo's sample: a library with real defects (``files``) and ``agents`` that mend them."""
