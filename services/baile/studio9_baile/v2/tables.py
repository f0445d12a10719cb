"""Tables of probabilities: what a model predicted on the pictures of a result album. None come to the
library, so its list is among the empty sections."""

from starlette.responses import StreamingResponse

from studio9_baile.usecases import tables
from studio9_baile.v2.albums import Shared
from studio9_baile.v2.dependencies import TheCaller, TheCore, TheDownloader, ThePage
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.tables import ColumnStats, RowsAnswer, StatsAnswer, TableAnswer

routes = router()


@routes.get("/tables/{table_id}")
async def get(table_id: str, core: TheCore, caller: TheCaller, share: Shared = None) -> TableAnswer:
    return TableAnswer.of(await tables.get_table(core, caller, table_id, share))


async def data(table_id: str, core: TheCore, caller: TheCaller, page: ThePage, share: Shared = None) -> RowsAnswer:
    """A page of rows; a body, which filters of tabular data would need, is not looked at."""
    rows, count = await tables.get_rows(core, caller, table_id, page, share)
    return RowsAnswer(data=rows, count=count)


routes.add_api_route("/tables/{table_id}/data", data, methods=["GET"], name="rows of a table")
routes.add_api_route("/tables/{table_id}/data", data, methods=["POST"], name="rows of a table by POST")


@routes.get("/tables/{table_id}/export")
async def export(table_id: str, core: TheCore, caller: TheDownloader, share: Shared = None) -> StreamingResponse:
    table = await tables.get_table(core, caller, table_id, share)
    headers = {"Content-Disposition": f'attachment; filename="table-{table.album.id}.csv"'}
    return StreamingResponse(tables.export_table(core, caller, table), media_type="text/csv", headers=headers)


@routes.get("/tables/{table_id}/stats")
async def stats(table_id: str, core: TheCore, caller: TheCaller, share: Shared = None) -> StatsAnswer:
    figures = await tables.get_figures(core, caller, table_id, share)
    return StatsAnswer(id=table_id, stats=[ColumnStats.of(one) for one in figures])
