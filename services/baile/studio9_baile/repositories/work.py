"""A transaction of one organisation, with its repositories and what must happen at its end."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from studio9_baile.bell import EVENTS, UPLOADS
from studio9_baile.models.identity import Organisation
from studio9_baile.models.jobs import Event
from studio9_baile.models.records import AuditEntry
from studio9_baile.repositories.aiming import Sight, Target
from studio9_baile.repositories.credentials import Credentials
from studio9_baile.repositories.identity import AccessTokens, PastPasswords, SignIns, Users
from studio9_baile.repositories.jobs import ConfigWrites, Events, Outbox, Processes, UntoldUploads
from studio9_baile.repositories.learned import (
    CodePackages,
    DatasetManifests,
    DatasetObjects,
    DatasetVersions,
    Models,
    ModelVersions,
)
from studio9_baile.repositories.library import Folders, ProjectLinks, Projects, Shares
from studio9_baile.repositories.notices import Deliveries, Notifications, Webhooks
from studio9_baile.repositories.pictures import (
    Albums,
    LabelImports,
    LabelRevisions,
    PictureLabels,
    Pictures,
    PredictedShapes,
)
from studio9_baile.repositories.records import AuditEntries, IdempotencyKeys, LineageEdges
from studio9_baile.repositories.runs import Deployments, Experiments, Predictions
from studio9_baile.repositories.stored import FileSets, MailedCodes, OnlineApis, Orphans, StoredFiles
from studio9_baile.repositories.tallies import Tallies
from studio9_common.ids import new_id


class Work:
    """See the module's docstring. `now` is the time of all that it writes; `rings` are the bells rung after commit;
    `target` is what the request aims at that it works for."""

    def __init__(self, session: AsyncSession, organisation: str, now: datetime, target: Target | None = None) -> None:
        if not organisation:
            raise ValueError("a transaction belongs to an organisation")
        self._session, self.organisation, self.now = session, organisation, now
        self._sight = Sight(target)
        self._mine = (session, organisation, now, self._sight)
        self.rings: set[str] = set()
        self._events: list[tuple[str, str | None, dict[str, Any]]] = []

    @cached_property
    def users(self) -> Users:
        return Users(*self._mine)

    @cached_property
    def past_passwords(self) -> PastPasswords:
        return PastPasswords(*self._mine)

    @cached_property
    def sign_ins(self) -> SignIns:
        return SignIns(*self._mine)

    @cached_property
    def access_tokens(self) -> AccessTokens:
        return AccessTokens(*self._mine)

    @cached_property
    def projects(self) -> Projects:
        return Projects(*self._mine)

    @cached_property
    def folders(self) -> Folders:
        return Folders(*self._mine)

    @cached_property
    def links(self) -> ProjectLinks:
        return ProjectLinks(*self._mine)

    @cached_property
    def shares(self) -> Shares:
        return Shares(*self._mine)

    @cached_property
    def albums(self) -> Albums:
        return Albums(*self._mine)

    @cached_property
    def pictures(self) -> Pictures:
        return Pictures(*self._mine)

    @cached_property
    def revisions(self) -> LabelRevisions:
        return LabelRevisions(*self._mine)

    @cached_property
    def labels(self) -> PictureLabels:
        return PictureLabels(*self._mine)

    @cached_property
    def tallies(self) -> Tallies:
        return Tallies(*self._mine)

    @cached_property
    def predicted(self) -> PredictedShapes:
        return PredictedShapes(*self._mine)

    @cached_property
    def label_imports(self) -> LabelImports:
        return LabelImports(*self._mine)

    @cached_property
    def dataset_versions(self) -> DatasetVersions:
        return DatasetVersions(*self._mine)

    @cached_property
    def manifests(self) -> DatasetManifests:
        return DatasetManifests(*self._mine)

    @cached_property
    def dataset_objects(self) -> DatasetObjects:
        return DatasetObjects(*self._mine)

    @cached_property
    def code(self) -> CodePackages:
        return CodePackages(*self._mine)

    @cached_property
    def credentials(self) -> Credentials:
        return Credentials(*self._mine)

    @cached_property
    def models(self) -> Models:
        return Models(*self._mine)

    @cached_property
    def versions(self) -> ModelVersions:
        return ModelVersions(*self._mine)

    @cached_property
    def experiments(self) -> Experiments:
        return Experiments(*self._mine)

    @cached_property
    def predictions(self) -> Predictions:
        return Predictions(*self._mine)

    @cached_property
    def deployments(self) -> Deployments:
        return Deployments(*self._mine)

    @cached_property
    def file_sets(self) -> FileSets:
        return FileSets(*self._mine)

    @cached_property
    def files(self) -> StoredFiles:
        return StoredFiles(*self._mine)

    @cached_property
    def orphans(self) -> Orphans:
        return Orphans(*self._mine)

    @cached_property
    def online_apis(self) -> OnlineApis:
        return OnlineApis(*self._mine)

    @cached_property
    def mailed_codes(self) -> MailedCodes:
        return MailedCodes(*self._mine)

    @cached_property
    def processes(self) -> Processes:
        return Processes(*self._mine)

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(*self._mine)

    @cached_property
    def config_writes(self) -> ConfigWrites:
        return ConfigWrites(*self._mine)

    @cached_property
    def events(self) -> Events:
        return Events(*self._mine)

    @cached_property
    def untold_uploads(self) -> UntoldUploads:
        return UntoldUploads(*self._mine)

    @cached_property
    def lineage(self) -> LineageEdges:
        return LineageEdges(*self._mine)

    @cached_property
    def notifications(self) -> Notifications:
        return Notifications(*self._mine)

    @cached_property
    def webhooks(self) -> Webhooks:
        return Webhooks(*self._mine)

    @cached_property
    def deliveries(self) -> Deliveries:
        return Deliveries(*self._mine)

    @cached_property
    def audited(self) -> AuditEntries:
        return AuditEntries(*self._mine)

    @cached_property
    def named_requests(self) -> IdempotencyKeys:
        return IdempotencyKeys(*self._mine)

    async def flush(self) -> None:
        """Sends what was added, so that later statements of this transaction see it."""
        await self._session.flush()

    def audit(self, user: str, action: str, kind: str, asset: str, detail: Mapping[str, Any] | None = None) -> None:
        """Records who did what."""
        self._session.add(
            AuditEntry(
                id=new_id(),
                organisation=self.organisation,
                created_at=self.now,
                user=user,
                action=action,
                kind=kind,
                asset=asset,
                detail=dict(detail) if detail else None,
            )
        )

    def emit(self, type_: str, data: Mapping[str, Any], *, user: str | None = None) -> None:
        """A server-sent event, for one user or the whole organisation; it gets its number at the end."""
        self._events.append((type_, user, dict(data)))
        self.rings.add(EVENTS)

    def uploaded(self, album: str) -> None:
        """A picture comes into an album: that is told a moment after the commit, together with others."""
        self.untold_uploads.make(album=album)
        self.rings.add(UPLOADS)

    async def finish(self) -> None:
        """The last statements before the commit. Numbers of events are given here, so that the organisation's row is
        locked for a moment only; the lock is what makes the order of numbers that of the commits. Raises
        ChangedMeanwhile."""
        self._sight.judge()
        if not self._events:
            return
        await self._session.flush()
        last = await self._session.scalar(
            update(Organisation)
            .where(Organisation.id == self.organisation)
            .values(next_event=Organisation.next_event + len(self._events))
            .returning(Organisation.next_event)
            .execution_options(synchronize_session=False)
        )
        if last is None:
            raise ValueError(f"there is no organisation {self.organisation}")
        first = last - len(self._events)
        for offset, (type_, user, data) in enumerate(self._events):
            self._session.add(
                Event(
                    organisation=self.organisation,
                    number=first + offset,
                    type=type_,
                    user=user,
                    data=data,
                    created_at=self.now,
                )
            )
