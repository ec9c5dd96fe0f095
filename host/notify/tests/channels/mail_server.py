"""A real SMTP server (aiosmtpd) on a free port of 127.0.0.1.

Its first line of output is its port; each mail it takes is one more line, as
JSON. Recipients: `nobody@…` is refused, `grey@…` is told "later" once.
"""

import argparse
import asyncio
import json
import logging
import ssl

from aiosmtpd.smtp import SMTP, AuthResult

parser = argparse.ArgumentParser()
parser.add_argument("--tls", choices=["none", "starttls", "implicit"], required=True)
parser.add_argument("--certificate")
parser.add_argument("--key")
parser.add_argument("--password", help="of the user `prunella`; a login is needed then")
parser.add_argument("--only-login", action="store_true", help="offer no PLAIN")
parser.add_argument("--sender", help="what MAIL FROM is answered with")
parser.add_argument("--data", help="what the text is answered with")
options = parser.parse_args()

logging.disable(logging.CRITICAL)


class Handler:
    greylisted = set()

    async def handle_MAIL(self, server, session, envelope, address, mail_options):
        if options.sender:
            return options.sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("nobody@"):
            return "550 5.1.1 No such user here"
        if address.startswith("grey@") and address not in self.greylisted:
            self.greylisted.add(address)
            return "451 4.7.1 Greylisted, come again in 5 minutes"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if options.data:
            return options.data
        mail = {
            "hello": session.host_name,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": options.tls == "implicit" or session.ssl is not None,
            "login": session.auth_data,
            "mail": envelope.content.decode("ascii"),
        }
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 Ok: queued as 4Xq1"


def authenticate(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (b"prunella", options.password.encode())
    return AuthResult(success=right, handled=False, auth_data=mechanism)


def smtp():
    more = {}
    if options.tls == "starttls":
        more |= {"tls_context": context(), "require_starttls": True}
    if options.password:
        more |= {
            "authenticator": authenticate,
            "auth_required": True,
            "auth_require_tls": options.tls == "starttls",
            "auth_exclude_mechanism": ["PLAIN"] if options.only_login else [],
        }
    return SMTP(Handler(), hostname="mail.test", **more)


def context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    return context


async def main():
    tls = context() if options.tls == "implicit" else None
    loop = asyncio.get_running_loop()
    # A client that does not like our certificate is none of our business.
    loop.set_exception_handler(lambda loop, failure: None)
    server = await loop.create_server(smtp, "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
