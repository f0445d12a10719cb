"""What every use case needs, put together once."""

from dataclasses import dataclass

from studio9_baile.database import Database
from studio9_baile.jobs.limits import Limits
from studio9_baile.jobs.uploads import Uploads
from studio9_baile.mail import Mailer
from studio9_baile.models.identity import Role
from studio9_baile.security.decoder import Decoder
from studio9_baile.security.passwords import Passwords
from studio9_baile.security.permissions import Permission
from studio9_baile.security.tokens import UserTokens
from studio9_baile.settings import BaileSettings
from studio9_baile.together import Together
from studio9_baile.usecases.catalogue import CatalogueKeeper
from studio9_baile.watching import EventWatch
from studio9_common.clients.argo import ArgoClient
from studio9_common.clients.aries import AriesClient
from studio9_common.objects.port import Objects
from studio9_common.times import Clock


@dataclass(frozen=True, slots=True)
class Core:
    """See the module's docstring."""

    settings: BaileSettings
    database: Database
    objects: Objects
    clock: Clock
    passwords: Passwords
    tokens: UserTokens
    decoder: Decoder
    aries: AriesClient
    argo: ArgoClient
    catalogue: CatalogueKeeper
    watch: EventWatch
    limits: Limits
    mailer: Mailer
    uploads: Uploads
    together: Together


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who makes a request, taken from the token alone."""

    user: str
    organisation: str
    sign_in: str
    """The sign-in, or the personal access token."""
    role: Role
    permissions: frozenset[Permission]

    @property
    def admin(self) -> bool:
        """Whether they may manage the organisation's users."""
        return Permission.manage in self.permissions
