"""Receivers that may be killed at any moment: what they have acknowledged stands in a file.

Arguments: http | smtp, port (0: any), file. Prints the port. One line per message, written before it is acknowledged: the
body that was posted, or the Message-ID of the mail. Python's HTTP server, aiosmtpd.
"""
import asyncio
import email
import http.server
import os
import sys

way, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def keep(line):
    # One write: a kill leaves a whole line or none.
    os.write(out, line.replace(b"\n", b" ") + b"\n")


class Post(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            # Killed while it sent: nobody waits for an answer.
            self.close_connection = True
            return
        keep(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Mail:
    async def handle_DATA(self, server, session, envelope):
        keep(email.message_from_bytes(envelope.content)["Message-ID"].encode())
        return "250 OK"


async def mail():
    from aiosmtpd.smtp import SMTP
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Mail(), enable_SMTPUTF8=True), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if way == "smtp":
    asyncio.run(mail())
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Post)
    print(server.server_address[1], flush=True)
    server.serve_forever()
