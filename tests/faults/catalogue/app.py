"""A web application for gunicorn."""


def application(_, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]
