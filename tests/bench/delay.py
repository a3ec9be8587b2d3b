"""A server at a distance: delay.py PORT TARGET MS. Passes bytes on, each MS milliseconds later, in both directions."""

import asyncio
import sys

port, target, delay = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000


async def pass_on(reader, writer):
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()

    async def send():
        while True:
            when, data = await queue.get()
            await asyncio.sleep(max(0, when - loop.time()))
            if not data:
                writer.close()
                return
            writer.write(data)

    sending = asyncio.create_task(send())
    try:
        while data := await reader.read(65536):
            queue.put_nowait((loop.time() + delay, data))
    except OSError:
        pass
    queue.put_nowait((loop.time() + delay, b""))
    await sending


async def meet(reader, writer):
    # The connection itself takes a round trip.
    await asyncio.sleep(2 * delay)
    there, back = await asyncio.open_connection("127.0.0.1", target)
    await asyncio.gather(pass_on(reader, back), pass_on(there, writer), return_exceptions=True)


async def main():
    server = await asyncio.start_server(meet, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


asyncio.run(main())
