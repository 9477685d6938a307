"""A driver of a naive mesh: everybody tells every address that it lives, and is down when it has been silent for ten beats."""
import json, os, selectors, socket, sys, time

addr, bound, socks, heard, sel = {}, {}, {}, {}, selectors.DefaultSelector()  # by name; heard[me] is when each other was, last


def report(kind, **fields):
    print(json.dumps({"type": kind, **fields}), flush=True)


def send(me, text, to):
    try:
        socks[me].sendto(text, to)
    except OSError:
        pass  # a full buffer: the datagram is lost, as elsewhere


def take(me):
    data, at = socks[me].recv(65536), time.monotonic_ns()
    who, id = (x.decode() for x in data.split(b"\0")[:2])
    if who not in heard[me]:
        report("view", member=me, at=at, up=[who])
    heard[me][who] = time.monotonic()
    if id:
        report("message", **{"member": me, "from": who, "id": int(id), "at": at})


def obey(do, me, c):
    if do == "init" and c.get("options"):
        report("failed", do=do, text="there are no options, want none of " + ", ".join(c["options"]))
    elif do == "init":
        for m in c["members"]:
            addr[m["name"]], bound[m["name"]] = (((a := x.rsplit(":", 1))[0], int(a[1])) for x in (m["addr"], m.get("bind", m["addr"])))
        report("ready", name="heartbeat", version="1", unsupported=["leave", "pause", "resume"])
    elif do == "echo":
        report("echo", id=c.get("id", 0))
    elif do == "stats":
        report("stats", cpu=time.process_time_ns())
    elif do not in ("join", "broadcast", "kill"):
        report("unsupported", do=do, member=me)
    elif me not in addr or (me in socks) == (do == "join"):
        report("failed", do=do, member=me, text="it is no member, or cannot do that now")
    elif do == "join":
        socks[me], heard[me] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), {}
        socks[me].bind(bound[me])
        sel.register(socks[me], selectors.EVENT_READ, me)
        report("joined", member=me, at=time.monotonic_ns())
    elif do == "broadcast":
        report("sent", member=me, id=c["id"], at=time.monotonic_ns())
        for other in heard[me]:
            send(me, b"%s\0%d\0".ljust(c["size"], b".") % (me.encode(), c["id"]), addr[other])
    elif do == "kill":
        sel.unregister(socks[me])
        socks.pop(me).close()
        report("done", do=do, member=me, at=time.monotonic_ns())


sel.register(0, selectors.EVENT_READ)
rest, next_beat = b"", time.monotonic()
while True:
    for key, _ in sel.select(max(0, next_beat - time.monotonic())):
        if key.data in socks:
            take(key.data)
        elif key.data is None:
            chunk = os.read(0, 65536)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                try:
                    c = json.loads(line)
                    sys.exit() if c["type"] == "stop" else obey(c["type"], c.get("member"), c)
                except (ValueError, KeyError) as e:
                    report("failed", text="no command: %r" % e)
            if not chunk:
                sys.exit()
    now, beat = time.monotonic(), max(0.1, len(addr) ** 2 / 1e4)  # a hundred members are 10,000 datagrams a beat
    if now >= next_beat:
        next_beat = now + beat
        for me in socks:
            for other in addr.keys() - {me}:
                send(me, me.encode() + b"\0\0", addr[other])
            for who in [w for w, at in heard[me].items() if now - at > 10 * beat]:
                del heard[me][who]
                report("view", member=me, at=time.monotonic_ns(), down=[who])
