import threading
from wsgiref.simple_server import make_server, WSGIRequestHandler
def test_shot(prepared, alice):
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from kameng.wsgi import application
    import socketserver
    from wsgiref.simple_server import WSGIServer
    class Quiet(WSGIRequestHandler):
        def log_message(self,*a): pass
    class S(socketserver.ThreadingMixIn, WSGIServer): daemon_threads=True
    srv = make_server("127.0.0.1", 0, application, server_class=S, handler_class=Quiet)
    port = srv.server_port
    threading.Thread(target=srv.serve_forever, daemon=True).start()
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path="/usr/bin/chromium", args="--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split())
        for host, lang, w in (("localhost","en",1440),("alice.localhost","zh-CN",1440),("alice.localhost","en",390)):
            pg = b.new_page(viewport={"width":w,"height":900}, locale=lang)
            msgs=[]
            pg.on("console", lambda m: msgs.append(m.text))
            pg.goto(f"http://{host}:{port}/api/v1/docs/")
            pg.locator("details").nth(2).locator("summary").click()
            pg.locator("details").nth(4).locator("summary").click()
            pg.screenshot(path=f"/tmp/docs-{host}-{lang}-{w}.png", full_page=False)
            pg.locator("details").nth(4).scroll_into_view_if_needed()
            pg.mouse.wheel(0,500); pg.wait_for_timeout(300)
            pg.screenshot(path=f"/tmp/docs2-{host}-{lang}-{w}.png")
            print(msgs, pg.evaluate("document.documentElement.scrollWidth"))
        b.close()
