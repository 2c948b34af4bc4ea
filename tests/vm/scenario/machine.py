"""A virtual machine as far as the node's kernel can tell: a vsock device of vhost's with a CID of its own.

    machine.py -id 120 -device vhost-vsock-pci,guest-cid=1101 -relay SOCKET PORT

Its words are those that PVE starts QEMU with, as much of them as matters; run it in the scope that PVE would. What QEMU
and a guest's driver do, it does: the rings in memory that /dev/vhost-vsock is given, and the packets of virtio's
specification (5.10, Socket Device) in them. Each connection to the unix SOCKET becomes one from the guest to PORT of its
host. What comes back is the kernel's own: a stream whose peer CID is the guest's, and nobody else's to have. No guest
runs, as emulation in emulation takes too long; nothing that is under test could tell.
"""

import ctypes
import fcntl
import mmap
import os
import random
import re
import select
import selectors
import socket
import struct
import sys

HOST = 2
RX, TX = 0, 1
NUM, SIZE = 64, 4096
REQUEST, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST = range(1, 8)
HEADER = struct.Struct("<QQIIIHHIII")
BUFFER = 256 * 1024
RECEIVE_ENDS, SEND_ENDS = 1, 2


def call(number, size, write=True):
    return (1 if write else 0) << 30 | size << 16 | 0xAF << 8 | number


class Ring:
    """One virtqueue: descriptors, what is offered, what was used, and a buffer for each descriptor."""

    def __init__(self, memory, base, at, index, device):
        self.memory, self.desc, self.avail = memory, at, at + 16 * NUM
        self.used, self.buffers = at + 4096, at + 8192
        self.index, self.offered, self.seen = index, 0, 0
        self.kick, self.call = os.eventfd(0), os.eventfd(0, os.EFD_NONBLOCK)
        state = lambda number, value: fcntl.ioctl(device, call(number, 8), struct.pack("<II", index, value))
        state(0x10, NUM)
        state(0x12, 0)
        fcntl.ioctl(device, call(0x11, 40), struct.pack("<IIQQQQ", index, 0, base + self.desc, base + self.used, base + self.avail, 0))
        state(0x20, self.kick)
        state(0x21, self.call)

    def offer(self, slot, length, writable):
        struct.pack_into("<QIHH", self.memory, self.desc + 16 * slot, self.buffers + SIZE * slot, length, 2 if writable else 0, 0)
        struct.pack_into("<H", self.memory, self.avail + 4 + 2 * (self.offered % NUM), slot)
        self.offered = (self.offered + 1) & 0xFFFF
        struct.pack_into("<H", self.memory, self.avail + 2, self.offered)

    def finished(self):
        """The slots that the other side is through with, and how much is in each."""
        while self.seen != struct.unpack_from("<H", self.memory, self.used + 2)[0]:
            yield struct.unpack_from("<II", self.memory, self.used + 4 + 8 * (self.seen % NUM))
            self.seen = (self.seen + 1) & 0xFFFF

    def ring(self):
        os.eventfd_write(self.kick, 1)


class Stream:
    """A connection from the guest, and the one here that it is relayed to."""

    def __init__(self, local, port):
        self.local, self.port, self.connected = local, port, False
        self.sent = self.taken = self.theirs = 0
        self.room = 0
        self.ended = self.peer_ended = False


class Machine:
    def __init__(self, cid, port):
        self.cid, self.port = cid, port
        self.device = os.open("/dev/vhost-vsock", os.O_RDWR)
        fcntl.ioctl(self.device, call(0x01, 0, write=False))
        fcntl.ioctl(self.device, call(0x00, 8), struct.pack("<Q", 1 << 32))
        size = 2 * (8192 + NUM * SIZE)
        self.memory = mmap.mmap(-1, size)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        # The guest's addresses begin at 0.
        fcntl.ioctl(self.device, call(0x03, 8), struct.pack("<IIQQQQ", 1, 0, 0, size, base, 0))
        self.rings = [Ring(self.memory, base, index * size // 2, index, self.device) for index in (RX, TX)]
        self.free = list(range(NUM))
        self.waiting = []
        for slot in range(NUM):
            self.rings[RX].offer(slot, SIZE, True)
        fcntl.ioctl(self.device, call(0x60, 8), struct.pack("<Q", cid))
        fcntl.ioctl(self.device, call(0x61, 4), struct.pack("<i", 1))
        # As a guest's kernel chooses it: the host's end of a connection whose machine was killed holds its port for up to eight seconds.
        self.streams, self.next_port = {}, 1024 + random.randrange(1 << 24)
        self.watched = selectors.DefaultSelector()
        self.watched.register(self.rings[RX].call, selectors.EVENT_READ, self.receive)
        self.watched.register(self.rings[TX].call, selectors.EVENT_READ, self.transmitted)

    def send(self, stream, op, data=b"", flags=0):
        self.waiting.append(HEADER.pack(self.cid, HOST, stream.port, self.port, len(data), 1, op, flags, BUFFER, stream.taken & 0xFFFFFFFF) + data)
        self.flush()

    def flush(self):
        ring = self.rings[TX]
        while self.waiting and self.free:
            packet, slot = self.waiting.pop(0), self.free.pop()
            at = ring.buffers + SIZE * slot
            self.memory[at : at + len(packet)] = packet
            ring.offer(slot, len(packet), False)
        ring.ring()

    def transmitted(self):
        os.eventfd_read(self.rings[TX].call)
        self.free.extend(slot for slot, _ in self.rings[TX].finished())
        self.flush()

    def receive(self):
        os.eventfd_read(self.rings[RX].call)
        ring = self.rings[RX]
        for slot, length in ring.finished():
            at = ring.buffers + SIZE * slot
            packet = bytes(self.memory[at : at + length])
            ring.offer(slot, SIZE, True)
            source, to, _, port, size, _, op, flags, room, theirs = HEADER.unpack_from(packet)
            assert (source, to) == (HOST, self.cid), (source, to)
            if stream := self.streams.get(port):
                stream.room, stream.theirs = room, theirs
                self.take(stream, op, flags, packet[HEADER.size : HEADER.size + size])
        ring.ring()

    def take(self, stream, op, flags, data):
        if op == RESPONSE:
            stream.connected = True
        elif op == RW:
            stream.taken += len(data)
            try:
                stream.local.sendall(data)
            except OSError:
                pass
            self.send(stream, CREDIT_UPDATE)
        elif op == CREDIT_REQUEST:
            self.send(stream, CREDIT_UPDATE)
        elif op == SHUTDOWN and flags & SEND_ENDS:
            stream.peer_ended = True
            stream.local.shutdown(socket.SHUT_WR)
            if flags & RECEIVE_ENDS:
                self.send(stream, RST)
                return self.forget(stream)
        elif op == RST:
            return self.forget(stream)
        self.pump(stream)

    def pump(self, stream):
        """Takes from here what the other side has room for."""
        wants = stream.connected and not stream.ended and stream.room - (stream.sent - stream.theirs) > 0
        watched = stream.local in self.watched.get_map()
        if wants and not watched:
            self.watched.register(stream.local, selectors.EVENT_READ, lambda: self.from_here(stream))
        elif watched and not wants:
            self.watched.unregister(stream.local)

    def from_here(self, stream):
        room = min(stream.room - ((stream.sent - stream.theirs) & 0xFFFFFFFF), SIZE - HEADER.size)
        try:
            data = stream.local.recv(room)
        except OSError:
            self.send(stream, SHUTDOWN, flags=RECEIVE_ENDS | SEND_ENDS)
            return self.forget(stream)
        if data:
            stream.sent += len(data)
            self.send(stream, RW, data)
        elif is_closed(stream.local):
            self.send(stream, SHUTDOWN, flags=RECEIVE_ENDS | SEND_ENDS)
            return self.forget(stream)
        else:
            stream.ended = True
            self.send(stream, SHUTDOWN, flags=SEND_ENDS)
        self.pump(stream)

    def forget(self, stream):
        if stream.local in self.watched.get_map():
            self.watched.unregister(stream.local)
        stream.local.close()
        self.streams.pop(stream.port, None)

    def accept(self, listener):
        local, _ = listener.accept()
        self.next_port += 1
        stream = self.streams[self.next_port] = Stream(local, self.next_port)
        self.send(stream, REQUEST)

    def serve(self, path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        self.watched.register(listener, selectors.EVENT_READ, lambda: self.accept(listener))
        while True:
            for key, _ in self.watched.select():
                key.data()


def is_closed(local):
    """Whether the other side has closed both directions, and not only said all it will."""
    state = select.poll()
    state.register(local, 0)
    return any(events & select.POLLHUP for _, events in state.poll(0))


words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
cid = int(re.search(r"guest-cid=(\d+)", words["-device"])[1])
Machine(cid, int(sys.argv[-1])).serve(words["-relay"])
