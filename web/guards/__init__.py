"""What stands between the socket and the endpoints: pure ASGI wrappers, one job each, listed in web/app.py."""
