#!/usr/bin/env python3
"""Publishes a post as a service, with an access token that it gets for itself.

It knows the blog's URL and its own credentials; where tokens come from the blog
says (RFC 9728). Credentials come from the environment and from files, never from
arguments, which other users of a machine can see.

    BLOG_URL=https://blog.example BLOG_CLIENT_ID=publisher \
    BLOG_CLIENT_SECRET_FILE=publisher.secret publish.py TITLE TEXT
"""

import os
import re
import sys
from urllib.parse import quote_plus, urlsplit

import requests

TIMEOUT = 10  # seconds


def fail(why):
    sys.exit(f"publish: {why}")


def origin(url):
    parts = urlsplit(url)
    if parts.scheme != "https":
        fail(f"{url} is not https")
    return parts.scheme, parts.netloc


def get_json(url):
    origin(url)
    answer = requests.get(url, timeout=TIMEOUT, allow_redirects=False)
    if answer.status_code != 200:
        fail(f"{url} answers {answer.status_code}")
    return answer.json()


def find_token_endpoint(operation):
    """Asks an operation without a credential, and follows what it says."""
    answer = requests.post(operation, timeout=TIMEOUT, allow_redirects=False)
    # requests joins the challenges of an answer with commas.
    found = re.search(r'\bBearer [^,]*(?:, [a-z_]+="[^"]*")*?, resource_metadata="([^"]+)"', answer.headers.get("WWW-Authenticate", ""), re.I)
    if not found:
        fail(f"{operation} answers {answer.status_code}, and does not say where tokens come from")
    metadata = get_json(found[1])
    resource = metadata.get("resource", "")
    # Whoever could have the secret sent elsewhere would say so here.
    if origin(found[1]) != origin(operation) or origin(resource) != origin(operation) or not operation.startswith(resource):
        fail(f"the metadata at {found[1]} are not those of {operation}")
    issuer = metadata["authorization_servers"][0]
    server = get_json(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if server.get("issuer") != issuer:
        fail(f"the metadata of {issuer} are not its own")
    # A server that is taken over must not choose who gets the secret, either.
    if os.environ.get("BLOG_ISSUER", issuer) != issuer:
        fail(f"the blog names the issuer {issuer}, and BLOG_ISSUER is another")
    origin(server["token_endpoint"])
    return resource, server["token_endpoint"]


def main():
    if len(sys.argv) != 3:
        fail("usage: publish.py TITLE TEXT")
    blog, client_id = os.environ.get("BLOG_URL"), os.environ.get("BLOG_CLIENT_ID")
    secret = os.environ.get("BLOG_CLIENT_SECRET")
    if "BLOG_CLIENT_SECRET_FILE" in os.environ:
        with open(os.environ["BLOG_CLIENT_SECRET_FILE"], encoding="utf-8") as file:
            secret = file.read().strip()
    if not blog or not client_id or not secret:
        fail("set BLOG_URL, BLOG_CLIENT_ID, and BLOG_CLIENT_SECRET_FILE or BLOG_CLIENT_SECRET")

    operation = blog.rstrip("/") + "/posts"
    resource, token_endpoint = find_token_endpoint(operation)
    answer = requests.post(
        token_endpoint,
        data={"grant_type": "client_credentials", "scope": "posts:write", "resource": resource},
        auth=(quote_plus(client_id), quote_plus(secret)),  # RFC 6749, section 2.3.1
        timeout=TIMEOUT,
        allow_redirects=False,
    )
    if answer.status_code != 200:
        fail(f"no token: {answer.status_code}")
    answer = requests.post(
        operation,
        json={"title": sys.argv[1], "text": sys.argv[2]},
        headers={"Authorization": "Bearer " + answer.json()["access_token"]},
        timeout=TIMEOUT,
        allow_redirects=False,
    )
    if answer.status_code != 201:
        fail(f"the blog answers {answer.status_code}")
    print(answer.headers["Location"])


if __name__ == "__main__":
    main()
