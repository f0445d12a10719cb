"""Runs the proxy: `python -m studio9_cli.servers.redshift_proxy --listen PORT --postgresql HOST:PORT`.

S3's address and credentials are those of the environment, in AWS' own variables.
"""

import argparse
import asyncio

from studio9_cli.servers.redshift_proxy.session import serve_client


async def serve(listen: int, host: str, port: int) -> None:
    """Accepts connections on loopback until it is cancelled."""
    server = await asyncio.start_server(lambda r, w: serve_client(r, w, host, port), "127.0.0.1", listen)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Reads the arguments and serves."""
    parser = argparse.ArgumentParser(prog="redshift_proxy")
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--postgresql", required=True, metavar="HOST:PORT")
    args = parser.parse_args()
    host, _, port = args.postgresql.rpartition(":")
    asyncio.run(serve(args.listen, host, int(port)))


if __name__ == "__main__":
    main()
