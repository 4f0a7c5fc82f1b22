"""Stands in a device's way to its peers and damages one checkpoint: a byte of the first large upload is flipped.

    damaging_wire.py PORT MARK

Connections to other devices' migrators are turned to PORT by the caller's packet rule, but for those that carry the
packet MARK, which are this program's own. Prints "damaged" once it has done its work; passes all else on as it is.
"""

import socket
import struct
import sys
import threading

SO_ORIGINAL_DST = 80
#: So many zero bytes in a row are file contents or padding of an archive, never the frame around a piece of it.
ZEROS = bytes(4096)

damaged = threading.Event()
lock = threading.Lock()


def damage(piece, is_upload):
    """The piece, or a damaged copy if it is the first of an upload that can be damaged."""
    at = piece.find(ZEROS)
    if not is_upload or at < 0:
        return piece
    with lock:
        if damaged.is_set():
            return piece
        damaged.set()
    print("damaged", flush=True)
    middle = at + len(ZEROS) // 2
    return piece[:middle] + b"\x01" + piece[middle + 1:]


def carry(source, sink, may_damage):
    is_upload = False
    try:
        while piece := source.recv(65536):
            if may_damage:
                is_upload = is_upload or b"/parts?name=checkpoint" in piece
                piece = damage(piece, is_upload)
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            end.close()


def serve(client, mark):
    _, port, address = struct.unpack("!HH4s8x", client.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16))
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    try:
        server.connect((socket.inet_ntoa(address), port))
    except OSError:
        client.close()
        return
    threading.Thread(target=carry, args=(server, client, False), daemon=True).start()
    carry(client, server, True)


def main():
    port, mark = int(sys.argv[1]), int(sys.argv[2])
    listener = socket.create_server(("0.0.0.0", port))
    print("ready", flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, mark), daemon=True).start()


if __name__ == "__main__":
    main()
