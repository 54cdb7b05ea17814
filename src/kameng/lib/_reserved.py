"""Words that no shop address may be, and names that none may look like. Data of `kameng.lib.slugs`."""

from __future__ import annotations

import re

# Compared without hyphens, whole.
WORDS = frozenset(
    """
    abuse academy access account accounts admin administrator admins affiliate affiliates agent agents analytics
    android api apidocs app apps assets audit auth authorize autoconfig autodiscover avatar backend backup bank beta
    billing blog board broadcasthost bug callback callbacks captcha careers cart cdn certificate channel checkout
    client cloud cluster code codes company compliance config connect console contact control core cpanel cron
    customer dashboard data database db default demo denglu deploy dev developer developers devops dns doc docs
    domain domains download downloads edge editor email error errors event events example feedback fenzhan files
    finance firewall forum ftp gate gateway git gitlab grafana group guanfang guanwang guest health healthz help
    helpdesk home hook hooks host hosting hostmaster houtai hub identity image images imap img inbox info infra
    internal intranet invalid invite invoice invoices ios jenkins job jobs kefu kibana lab labs legal library
    license link links live localdomain localhost log login logout logs mail mailer mailerdaemon main mainstation
    manage manager marketing master me media member members merchant merchants message metrics mobile monitor
    monitoring mta my mysql new news newsletter nobody noreply null oauth office official ops order orders origin
    owner panel partner partners password pay payment payments payout phpmyadmin platform pop pop3 portal post
    postgres postmaster pricing privacy private prod production profile prometheus proxy public queue redis refund
    refunds register registry relay report reports reset root rss sale sales sandbox search secure security self
    send server service services session settings settlement setup share shop shops sign signin signup site sitemap
    smtp source spare spool ssh ssl sso staff stage staging stat static stats status stock storage store stores
    subdomain substation support svn sync sys sysadmin system tax team telnet temp tenant tenants terms test testing
    testpay tls token tools trace tunnel undefined update updates upload uploads usenet user users verify version
    vpn web webhook webhooks webmail webmaster websocket welcome whois wiki work worker wpad wss www xmlrpc zhifu
    zhuce zhuzhan zongzhan
    """.split()  # noqa: SIM905 - three hundred words in quotes would not be read.
)
# Machines are numbered: www2, ns1, mx10, api3, v1.
NUMBERED = re.compile(
    r"(?:www|ns|mx|mail|smtp|imap|pop|api|cdn|db|web|app|admin|static|img|node|vpn|proxy|dev|test|v|s)[0-9]+", re.ASCII
)

# One key for characters that the eye confuses; both sides of a comparison are folded with it.
LOOKALIKES = str.maketrans(
    {"0": "o", "1": "i", "l": "i", "2": "z", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g"}
)

# Money and identity: refused anywhere in an address, for a phishing page needs only half of it.
BRANDS_ANYWHERE = (
    "kameng", "alipay", "zhifubao", "wechat", "weixin", "unionpay", "yinlian", "paypal", "taobao", "tmall",
    "pinduoduo", "jingdong", "tencent", "alibaba", "mastercard", "americanexpress", "tenpay", "caifutong", "icbc",
    "gongshangyinhang", "zhaoshangyinhang", "zhongguoyinhang", "jiansheyinhang", "nongyeyinhang", "pboc", "12306",
    "dcep",
)  # fmt: skip
# Ordinary words or short names: refused as the whole address or a part between hyphens (`stripe-shop`, not `stripes`).
BRANDS_AS_PART = (
    "stripe", "visa", "jcb", "adyen", "antgroup", "antfin", "payeasy", "yeepay", "unipay", "ccb", "boc", "huifu",
    "lakala", "cmb", "spdb", "citic", "steam", "playstation", "psn", "nintendo", "xbox", "microsoft", "google",
    "googleplay", "apple", "icloud", "itunes", "appstore", "amazon", "netflix", "spotify", "disney", "disneyplus",
    "youtube", "iqiyi", "youku", "bilibili", "mihoyo", "hoyoverse", "riot", "riotgames", "valorant", "roblox",
    "blizzard", "battlenet", "netease", "garena", "pubg", "qq", "qqpay", "douyin", "tiktok", "kuaishou",
    "xiaohongshu", "meituan", "baidu", "huawei", "xiaomi", "adobe", "jetbrains", "openai", "telegram", "whatsapp",
    "facebook", "instagram", "linkedin", "jd", "gov", "police", "gongan", "chinamobile", "chinaunicom", "chinatelecom", "10086",
    "10010", "10000",
)  # fmt: skip
