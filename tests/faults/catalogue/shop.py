#!/usr/bin/python3
"""A small web shop, with the mistakes that such programs have.

    GET /         200 and "ok", or 503
    GET /leak     keeps all the memory that it can get, and dies of it
    GET /files    opens files, and never closes them
    GET /forks    starts processes, and is busy with that for ever
    GET /zombies  starts processes, and never asks how they ended

--redis PORT      needs Redis; connects once, when it starts
--cache FILE      needs a cache that is sound JSON; makes it if it is missing
--child           has a helper process, which inherits its listening socket
--unix PATH       listens there, and leaves an old socket as it is
--scratch DIR     writes there when it starts
"""

import argparse
import http.server
import json
import os
import socket
import socketserver
import subprocess
import threading
import time

options = argparse.ArgumentParser()
options.add_argument("--port", type=int, default=8080)
options.add_argument("--redis", type=int)
options.add_argument("--cache")
options.add_argument("--child", action="store_true")
options.add_argument("--unix")
options.add_argument("--scratch")
options = options.parse_args()

kept = []
children = []


def redis_answers():
    try:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def zombies():
    return sum(open(f"/proc/{pid}/stat").read().rsplit(")")[1].split()[0] == "Z" for pid in children)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if busy.is_set():
            time.sleep(3600)
        well = True
        if self.path == "/leak":
            try:
                while True:
                    kept.append(bytearray(8 << 20))
            except MemoryError:
                os.abort()
        elif self.path == "/files":
            try:
                while True:
                    kept.append(open("/dev/null"))
            except OSError:
                well = False
        elif self.path == "/forks":
            busy.set()
            # Bounded, so that it stays a fault of this service.
            for _ in range(300):
                if os.fork() == 0:
                    time.sleep(3600)
                    os._exit(0)
            time.sleep(3600)
        elif self.path == "/zombies":
            for _ in range(200):
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
                children.append(pid)
        elif options.redis:
            well = redis_answers()
        # Its pool of workers is used up by those that nobody buried.
        if len(children) > 100 and zombies() > 100:
            well = False
        if kept and isinstance(kept[-1], bytearray) is False:
            try:
                open("/dev/null").close()
            except OSError:
                well = False
        body = b"ok\n"
        self.send_response(200 if well else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    # Another one on the same port is an error.
    allow_reuse_address = True

    def handle_error(self, *_):
        # A request that failed is no reason to end, nor to open files for a
        # traceback.
        pass


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


busy = threading.Event()
if options.redis:
    connection = socket.create_connection(("127.0.0.1", options.redis))
    connection.settimeout(0.5)
if options.cache:
    if os.path.exists(options.cache):
        json.load(open(options.cache))
    else:
        json.dump({"things": 2}, open(options.cache, "w"))
if options.scratch:
    with open(os.path.join(options.scratch, "shop.tmp"), "wb") as scratch:
        scratch.write(bytes(256 << 10))
if options.unix:
    server = UnixServer(options.unix, Handler)
else:
    server = Server(("127.0.0.1", options.port), Handler)
if options.child:
    server.socket.set_inheritable(True)
    subprocess.Popen(["sleep", "infinity"], close_fds=False)
server.serve_forever()
