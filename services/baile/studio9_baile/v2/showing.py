"""Albums as they are answered, with where their videos are."""

from studio9_baile.core import Core
from studio9_baile.models.pictures import Album
from studio9_baile.usecases.albums import video_url
from studio9_baile.v2.wire.albums import AlbumAnswer


async def shown(core: Core, album: Album) -> AlbumAnswer:
    """The answer for an album that may have a video. (A new one has none.)"""
    return AlbumAnswer.of(album, await video_url(core, album))
