"""An SMTP server (aiosmtpd) for the e-mail tests.

Arguments: none | starttls | implicit, certificate, key. Prints its port, then one JSON object per message, as Python's
own e-mail parser reads it. A recipient says what is to go wrong: refused@ 550, later@ 451; a sender slow@ 421.
"""
import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("slow@"):
            return "421 4.3.2 try again later"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@"):
            return "451 4.7.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = {part.get_content_subtype(): part.get_content() for part in message.walk() if not part.is_multipart()}
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "peer": session.peer[1],
            "tls": session.ssl is not None or mode == "implicit", "user": (session.auth_data.login.decode() if session.authenticated else None),
            "defects": [str(d) for part in message.walk() for d in part.defects],
            "headers": {k.lower(): str(v) for k, v in message.items()}, "text": body.get("plain"), "html": body.get("html"),
        }), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"edge" and data.password == b"edge-secret"
    return AuthResult(success=good, handled=False, auth_data=data)


mode, certificate, key = sys.argv[1:4]
context = None
if mode != "none":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)


def connection():
    return SMTP(Handler(), enable_SMTPUTF8=True, authenticator=authenticate, auth_require_tls=False,
                tls_context=context if mode == "starttls" else None, require_starttls=mode == "starttls",
                auth_exclude_mechanism=["PLAIN"] if len(sys.argv) > 4 else [])


async def serve():
    secure = context if mode == "implicit" else None
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=secure)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve())
