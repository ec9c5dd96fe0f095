"""Does what the host asks for, as a service of this machine's init.

Host and agent talk through a serial port, one line each. A line of the host is a JSON object
with a number; the answer has the same one. Lines that begin with `J` are journal entries.
"""

import fcntl
import json
import os
import subprocess
import threading
import time

PORT = "/dev/virtio-ports/agent"

# linux/random.h
RNDRESEEDCRNG = 0x5207

MARK = b"the machine's agent is ready"

port = os.open(PORT, os.O_RDWR)
saying = threading.Lock()
is_awake = threading.Event()
is_following = threading.Event()


def say(line):
    line += b"\n"
    with saying:
        while line:
            line = line[os.write(port, line):]


def follow():
    command = ["journalctl", "--follow", "--lines=0", "--output=json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as journal:
        for line in journal.stdout:
            if MARK in line:
                is_following.set()
            elif is_awake.is_set():
                say(b"J" + line.rstrip())


def run(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    return {
        "code": done.returncode if done.returncode >= 0 else None,
        "stdout": done.stdout.decode(errors="replace"),
        "stderr": done.stderr.decode(errors="replace"),
    }


def write(path, content, mode):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path}.agent-{threading.get_ident()}"
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content.encode("latin-1"))
        os.fchmod(file.fileno(), mode)
    os.rename(new, path)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def wake(now, seed):
    """Begins the life of one machine: all of them come from the same snapshot."""
    time.clock_settime(time.CLOCK_REALTIME, now)
    with open("/dev/urandom", "r+b", buffering=0) as random:
        random.write(seed.encode())
        fcntl.ioctl(random, RNDRESEEDCRNG)
    is_awake.set()


ABLE = {
    "run": run,
    "write": write,
    "read": read,
    "exists": os.path.lexists,
    "remove": os.remove,
    "wake": wake,
}


def answer(request):
    try:
        done = {"done": ABLE[request["do"]](*request["with"])}
    except Exception as error:
        done = {"error": str(error)}
    say(json.dumps({"number": request["number"], **done}).encode())


def begin():
    threading.Thread(target=follow, daemon=True).start()
    subprocess.run(["systemctl", "is-system-running", "--wait"], stdout=subprocess.DEVNULL)
    # Modules that are loaded for the hardware are not to be a test's load.
    subprocess.run(["udevadm", "settle"])
    while not is_following.wait(0.2):
        subprocess.run(["systemd-cat", "echo", MARK])
    os.sync()
    say(b"ready")


begin()
rest = b""
while True:
    rest += os.read(port, 65536)
    *lines, rest = rest.split(b"\n")
    for line in lines:
        threading.Thread(target=answer, args=(json.loads(line),)).start()
