"""Mail to users, by an SMTP server where one is set up; without one nothing is sent, and that is said in the log.

Sending goes on behind the request, is tried a few times, and holds nobody up. A text may hold a code, so the log never
shows it.
"""

import asyncio
import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from studio9_baile.settings import BaileSettings
from studio9_common.ids import new_id
from studio9_common.logs import logger
from studio9_common.tasks import end

TIMEOUT_S = 15.0
PAUSES_S = (1.0, 10.0, 60.0)
"""Before each further try."""


class Mailer:
    """Sends mail as the settings say. `pauses_s`: before each further try."""

    def __init__(self, settings: BaileSettings, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._settings, self._pauses_s = settings, pauses_s
        self._sending: set[asyncio.Task[None]] = set()
        self._log = logger("baile")

    @property
    def set_up(self) -> bool:
        """Whether there is a server."""
        return bool(self._settings.mail_host)

    def send(self, to: str, subject: str, text: str) -> None:
        """Sends a mail soon."""
        if not self.set_up:
            self._log.warning("mail_not_set_up", subject=subject, fix="set STUDIO9_BAILE_MAIL_HOST")
            return
        message = self.compose(to, subject, text, identifier=new_id())
        task = asyncio.create_task(self._deliver(message), name="mail")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def compose(self, to: str, subject: str, text: str, *, identifier: str) -> EmailMessage:
        """A mail as it goes out. Its Message-ID follows from `identifier`: one that is sent twice, because the server
        took it and was gone before it said so, is known for the same."""
        sender = self._settings.mail_from
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, to, subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{identifier}@{parseaddr(sender)[1].rpartition('@')[2] or 'localhost'}>"
        message.set_content(text)
        return message

    async def _deliver(self, message: EmailMessage) -> None:
        for pause in (*self._pauses_s, None):
            try:
                await asyncio.to_thread(self.deliver, message)
                return
            except (OSError, smtplib.SMTPException) as error:
                self._log.warning("mail_not_sent", subject=message["Subject"], problem=type(error).__name__)
            if pause is not None:
                await asyncio.sleep(pause)

    def deliver(self, message: EmailMessage) -> None:
        """Hands one mail to the server. Blocks. Raises OSError, smtplib.SMTPException."""
        settings = self._settings
        with smtplib.SMTP(settings.mail_host, settings.mail_port, timeout=TIMEOUT_S) as server:
            if settings.mail_tls:
                server.starttls(context=ssl.create_default_context())
            if settings.mail_user:
                server.login(settings.mail_user, settings.mail_password.get_secret_value())
            server.send_message(message)

    async def close(self) -> None:
        """Ends what is still to be tried again."""
        await end(*self._sending)
