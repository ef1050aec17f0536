"""Content stores: a folder, Kubo, a gateway, or several of them in layers."""
