"""One message to a mail server, by aiosmtplib. The library is imported with the first message."""

from __future__ import annotations

import asyncio
import ssl

from pyflagger.wire import HttpFailure, SmtpReply, SmtpRequest


async def deliver_mail(request: SmtpRequest) -> SmtpReply:
    """Send a message. Raises HttpFailure without a reply; its text names only host and port."""
    where = f"{request.host}:{request.port}"
    try:
        async with asyncio.timeout(request.timeout):
            return await _delivered(request, where)
    except TimeoutError:
        raise HttpFailure("timeout", f"{where}: no reply within {request.timeout:g}s") from None


async def _delivered(request: SmtpRequest, where: str) -> SmtpReply:
    import aiosmtplib
    from aiosmtplib import errors

    try:
        refused, text = await aiosmtplib.send(
            request.message,
            sender=request.sender,
            recipients=request.recipients,
            hostname=request.host,
            port=request.port,
            username=request.login or None,
            password=request.password or None,
            # Without it, the library would ask DNS for the name of this machine, and block.
            local_hostname=request.sender.partition("@")[2],
            use_tls=request.tls == "implicit",
            start_tls=request.tls == "starttls",
            timeout=request.timeout,
        )
    except errors.SMTPRecipientsRefused as error:
        first = error.recipients[0]
        return SmtpReply(first.code, f"{first.recipient}: {first.message}")
    except errors.SMTPResponseException as error:
        if error.code < 0:
            raise HttpFailure("malformed", f"{where}: the answer is not SMTP") from error
        return SmtpReply(error.code, error.message)
    except errors.SMTPTimeoutError:
        raise TimeoutError from None
    except ssl.SSLError as error:
        raise HttpFailure("tls", f"{where}: {error.reason or 'TLS failed'}") from error
    except (errors.SMTPException, OSError) as error:
        raise _failure(where, error) from error
    if refused:
        recipient, reply = next(iter(refused.items()))
        return SmtpReply(reply.code, f"{recipient}: {reply.message}")
    return SmtpReply(250, text)


def _failure(where: str, error: Exception) -> HttpFailure:
    """A failure by the error at its root: TLS, the protocol, or the connection."""
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLError) or "STARTTLS" in str(error):
        reason = getattr(cause, "reason", None)
        return HttpFailure("tls", f"{where}: {reason or 'the server does not offer STARTTLS'}")
    return HttpFailure("connect", f"{where}: {cause}")
