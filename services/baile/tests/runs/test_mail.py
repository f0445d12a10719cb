"""Who owns a job is told by mail how it ended: through a real SMTP server, which may be away, busy, or gone at the
worst moment."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from studio9_common.contracts.messages import JobFailed

from ..mailbox import kept_place, mailbox

Fail = Callable[[Any], Awaitable[str]]


@pytest.fixture
def again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not delivered is tried again without a pause, and not given up while a test lasts."""
    monkeypatch.setattr("studio9_baile.jobs.delivering.PAUSES_S", (0.0,) * 1_000_000)


@pytest.fixture
def fail(workers: Any, albums: dict[str, str], experiment: Any) -> Fail:
    """Starts an experiment whose job fails; the job's id."""

    async def run(ana: Any) -> str:
        made = await ana.ok("POST", "/experiments", experiment(albums))
        job = (await ana.ok("GET", f"/experiments/{made['id']}/process"))["id"]
        await workers.end(await workers.take(), JobFailed)
        return str(job)

    return run


async def start(installation: Any, port: int, **settings: Any) -> Any:
    await installation.stop()
    await installation.start(mail_host="127.0.0.1", mail_port=port, public_url="https://lab.test/", **settings)
    return installation.signed_in("ana")


async def deliveries(installation: Any, ana: Any) -> list[Any]:
    database = installation.baile.core.database
    organisation = installation.baile.core.tokens.read(ana.token).organisation
    async with database.read(organisation) as work:
        return list(await work.deliveries.all())


async def settled(installation: Any, ana: Any, until: Any) -> Any:
    """The only delivery, once it is settled."""

    async def done() -> bool:
        known = await deliveries(installation, ana)
        return bool(known) and all(one.settled_at is not None for one in known)

    await until(done)
    (only,) = await deliveries(installation, ana)
    return only


async def test_a_mail_says_what_became_of_the_job(installation: Any, fail: Fail, ana: Any, until: Any) -> None:
    async with mailbox() as mails:
        ana = await start(installation, mails.port, mail_from="Studio9 <jobs@lab.test>")
        job = await fail(ana)
        mail = await mails.next_mail()
        (told,) = (await ana.ok("GET", "/v1/notifications"))["items"]
        assert (mail["To"], mail["From"]) == ("ana@lab.test", "Studio9 <jobs@lab.test>")
        assert mail["Subject"] == "Your train: failed" and mail["Date"]
        assert mail["Message-ID"] == f"<{told['id']}@lab.test>"
        text = mail.get_content().replace("\r\n", "\n")  # type: ignore[attr-defined]  # with the policy of the mailbox it has
        assert f"job: {job}\n" in text and "status: FAILED\n" in text and "https://lab.test/" in text
        only = await settled(installation, ana, until)
        assert (only.times, only.problem, mails.empty) == (1, None, True)


async def test_a_server_that_was_down_gets_the_mail_when_it_is_back(
    installation: Any, fail: Fail, ana: Any, until: Any, again_at_once: None
) -> None:
    with kept_place() as place:
        ana = await start(installation, place.getsockname()[1])
        await fail(ana)

        async def tried() -> bool:
            return any(one.times > 1 for one in await deliveries(installation, ana))

        await until(tried)
        (waiting,) = await deliveries(installation, ana)
        assert (waiting.problem, waiting.settled_at) == ("ConnectionRefusedError", None)
        assert len((await ana.ok("GET", "/v1/notifications"))["items"]) == 1, "the UI tells it meanwhile"
        async with mailbox(place) as mails:
            assert (await mails.next())[0] == "ana@lab.test"
            assert (await settled(installation, ana, until)).problem is None
            assert mails.empty


async def test_a_mail_outlives_a_stop_while_the_server_is_down(
    installation: Any, fail: Fail, ana: Any, until: Any, again_at_once: None
) -> None:
    with kept_place() as place:
        ana = await start(installation, place.getsockname()[1])
        await fail(ana)

        async def waiting() -> bool:
            return any(one.times for one in await deliveries(installation, ana))

        await until(waiting)
        await installation.stop()
        async with mailbox(place) as mails:
            await installation.start()
            assert (await mails.next())[0] == "ana@lab.test"
            await settled(installation, installation.signed_in("ana"), until)
            assert mails.empty


@pytest.mark.parametrize("answer", [b"451 busy, come again\r\n", b""], ids=["busy", "gone before it answers"])
async def test_what_was_not_confirmed_is_sent_again(
    answer: bytes, installation: Any, fail: Fail, ana: Any, until: Any, again_at_once: None
) -> None:
    async with mailbox() as mails:
        mails.answers.append(answer)
        ana = await start(installation, mails.port)
        await fail(ana)
        known = {str((await mails.next_mail())["Message-ID"]) for _ in range(1 if answer else 2)}
        assert len(known) == 1, "who gets it twice can tell that it is one"
        assert (await settled(installation, ana, until)).times == 2
        assert mails.empty


async def test_nothing_is_sent_where_no_server_is_set_up(installation: Any, fail: Fail, ana: Any, until: Any) -> None:
    await fail(ana)
    assert (await settled(installation, ana, until)).times == 1


async def test_a_server_without_encryption_gets_nothing_where_it_is_wanted(
    installation: Any, fail: Fail, ana: Any, until: Any, again_at_once: None
) -> None:
    """This one offers no encryption at all: then there is no mail, rather than one that anybody can read."""
    async with mailbox() as mails:
        ana = await start(installation, mails.port, mail_tls=True, mail_user="ana")
        await fail(ana)

        async def tried() -> bool:
            return any(one.times for one in await deliveries(installation, ana))

        await until(tried)
        (waiting,) = await deliveries(installation, ana)
        assert waiting.problem == "SMTPNotSupportedError" and mails.empty
