"""An API as a dlt source whose read is proven."""
