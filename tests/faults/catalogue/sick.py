#!/usr/bin/python3
"""A small web server that sickens as the files in /run/sick tell it.

delay      answers take so many seconds
errors     each answer of which the number is a multiple of this is 500
silence    each question of which the number is a multiple of this is not answered
spin       is busy with nothing
leak       keeps so many MiB more each second
files      keeps so many files open
processes  keeps so many processes
zombies    keeps so many processes that have ended
log        writes so many lines of errors each second
cache      reads so many MiB of a file again and again

--tls CERTIFICATE  speaks HTTPS; the file has the key as well
"""

import argparse
import http.server
import itertools
import pathlib
import ssl
import subprocess
import sys
import threading
import time

options = argparse.ArgumentParser()
options.add_argument("--port", type=int, default=8080)
options.add_argument("--tls")
options = options.parse_args()

asked = itertools.count(1)
kept = []
files = []
processes = []
zombies = []


def told(name):
    """The number in a file, or None where there is none."""
    try:
        return float(pathlib.Path("/run/sick", name).read_text())
    except (OSError, ValueError):
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(told("delay") or 0)
        number = next(asked)
        if number % int(told("silence") or number + 1) == 0:
            time.sleep(3600)
        is_error = number % int(told("errors") or number + 1) == 0
        self.send_response(500 if is_error else 200)
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *arguments):
        pass


def sicken():
    while True:
        begun = time.monotonic()
        kept.extend(bytearray(b"x" * (1 << 20)) for _ in range(int(told("leak") or 0)))
        while len(files) < (told("files") or 0):
            files.append(open("/dev/null"))
        while len(processes) < (told("processes") or 0):
            processes.append(subprocess.Popen(["sleep", "infinity"]))
        while len(zombies) < (told("zombies") or 0):
            zombies.append(subprocess.Popen(["true"]))
        for _ in range(int(told("log") or 0)):
            print("<3>error: the queue is full", file=sys.stderr)
        if told("cache") is not None:
            size = int(told("cache")) << 20
            with open("/var/tmp/cache", "w+b") as file:
                file.truncate(size)
                while file.read(1 << 20):
                    pass
        while told("spin") is not None and time.monotonic() < begun + 1:
            for _ in range(100_000):
                pass
        time.sleep(max(0.05, begun + 1 - time.monotonic()))


threading.Thread(target=sicken, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
server.request_queue_size = 128
if options.tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls)
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
