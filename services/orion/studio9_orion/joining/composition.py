"""What Orion's settings say about machines that join: who makes their broker users, and what they are told."""

from urllib.parse import unquote, urlsplit

from studio9_common.contracts.joining import Joined, Storage
from studio9_orion.joining.broker import BrokerUsers
from studio9_orion.settings import OrionSettings

AMQP = ("amqp", "amqps")


def broker_users(settings: OrionSettings) -> BrokerUsers | None:
    """The maker of broker users; None where no machine can join."""
    url, place = settings.broker_management_url.get_secret_value(), urlsplit(settings.bus_url)
    if not url or place.scheme not in AMQP:
        return None
    return BrokerUsers(url, unquote(place.path[1:]) or "/", prefix=user_prefix(settings))


def user_prefix(settings: OrionSettings) -> str:
    """What the names of workers' broker users begin with: a broker may serve several installations."""
    return f"{settings.installation}-worker-"


def told(settings: OrionSettings) -> Joined:
    """What a machine is told when it joins, but for its own name. Nothing in it is secret."""
    place = urlsplit(settings.bus_url)
    broker = place._replace(netloc=place.netloc.rpartition("@")[2]).geturl()
    if settings.workers_bus_url:
        given = urlsplit(settings.workers_bus_url)
        broker = given._replace(path=given.path if len(given.path) > 1 else place.path).geturl()
    return Joined(
        worker="",
        installation=settings.installation,
        broker=broker,
        broker_user=user_prefix(settings),
        argo_url=settings.workers_argo_url or settings.argo_url,
        storage=Storage(
            url=settings.objects_url,
            endpoint=settings.workers_objects_endpoint or settings.objects_endpoint,
            region=settings.objects_region,
            lends_keys=bool(settings.workers_objects_role),
        ),
        task_image=settings.workers_task_image,
    )
