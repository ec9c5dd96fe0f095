#!/usr/bin/python3
"""A small web server that answers 503 from SIGUSR2 on, until SIGHUP has it read its
configuration again."""

import http.server
import signal
import sys

sick = False


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if sick else 200)
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *arguments):
        pass


def becomes(value):
    def handle(*_):
        global sick
        sick = value

    return handle


signal.signal(signal.SIGUSR2, becomes(True))
signal.signal(signal.SIGHUP, becomes(False))
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.request_queue_size = 128
server.serve_forever()
