#!/usr/bin/env python3
"""Publishes a post as a service, with an access token that it gets for itself.

It knows the blog's URL and its own credentials; where tokens come from the blog
says (RFC 9728). Credentials come from the environment and from files, never from
arguments, which other users of a machine can see.

    BLOG_URL=https://blog.example BLOG_CLIENT_ID=publisher \
    BLOG_CLIENT_SECRET_FILE=publisher.secret publish.py TITLE TEXT

BLOG_ISSUER, if set, is the one issuer that is shown the secret, whatever the blog
says.
"""

import os
import re
import sys
from urllib.parse import quote_plus, urlsplit

import requests

# No redirect is followed, which would take a credential along.
CALL = {"timeout": 10, "allow_redirects": False}


def fail(why):
    sys.exit(f"publish: {why}")


def nobody(request):
    """Is the credential of calls without one: requests looks in ~/.netrc else."""
    return request


def bearer(token):
    def sign(request):
        request.headers["Authorization"] = "Bearer " + token
        return request

    return sign


def origin(url):
    parts = urlsplit(url)
    if parts.scheme != "https":
        fail(f"no https URL: {url}")
    return parts.netloc


def get_json(url):
    origin(url)
    answer = requests.get(url, auth=nobody, **CALL)
    if answer.status_code != 200:
        fail(f"{url} answers {answer.status_code}")
    return answer.json()


def choose_issuer(named):
    """Chooses who is shown the secret: of those that the blog names the first, or
    BLOG_ISSUER alone, since a blog that was taken over might name anybody."""
    want = os.environ.get("BLOG_ISSUER") or named[0]
    if want not in named:
        fail(f"the blog does not name the issuer {want}")
    return want


def find_token_endpoint(operation):
    """Asks an operation without a credential, and follows what it says: to the
    metadata of the resource, and to those of its authorization server (RFC 8414).
    Returns the resource's name there and the token endpoint."""
    origin(operation)
    answer = requests.post(operation, auth=nobody, **CALL)
    # The challenges of an answer are joined with commas; one parameter of this name
    # is in Bearer's and in that of DPoP, to the same end.
    found = re.search(r'[ ,]resource_metadata="([^"]+)"', answer.headers.get("WWW-Authenticate", ""), re.I)
    if answer.status_code != 401 or not found:
        fail(f"{operation} answers {answer.status_code}, and does not say where tokens come from")
    if origin(found[1]) != origin(operation):
        fail(f"{operation} has its metadata elsewhere: {found[1]}")
    metadata = get_json(found[1])
    resource = metadata["resource"]
    # Metadata of somebody else would have us ask for a token that is for them
    # (RFC 9728, section 7.3).
    if origin(resource) != origin(operation) or not operation.startswith(resource.rstrip("/") + "/"):
        fail(f"the metadata at {found[1]} are those of {resource} and not of {operation}")
    issuer = choose_issuer(metadata["authorization_servers"])
    server = get_json(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if server["issuer"] != issuer:
        fail(f"the metadata of {issuer} are not its own")
    origin(server["token_endpoint"])
    return resource, server["token_endpoint"]


def client_secret():
    if "BLOG_CLIENT_SECRET_FILE" not in os.environ:
        return os.environ.get("BLOG_CLIENT_SECRET")
    with open(os.environ["BLOG_CLIENT_SECRET_FILE"], encoding="utf-8") as file:
        return file.read().strip()


def publish(blog, client_id, secret, title, text):
    """Publishes a post and returns where it is."""
    operation = blog.rstrip("/") + "/posts"
    resource, token_endpoint = find_token_endpoint(operation)
    answer = requests.post(
        token_endpoint,
        data={"grant_type": "client_credentials", "scope": "posts:write", "resource": resource},  # RFC 8707
        auth=(quote_plus(client_id), quote_plus(secret)),  # RFC 6749, section 2.3.1
        **CALL,
    )
    if answer.status_code != 200:
        fail(f"no token: {answer.status_code}")
    answer = requests.post(operation, json={"title": title, "text": text}, auth=bearer(answer.json()["access_token"]), **CALL)
    if answer.status_code != 201:
        fail(f"the blog answers {answer.status_code}")
    return answer.headers["Location"]


def main():
    if len(sys.argv) != 3:
        fail("usage: publish.py TITLE TEXT")
    blog, client_id = os.environ.get("BLOG_URL"), os.environ.get("BLOG_CLIENT_ID")
    try:
        secret = client_secret()
        if not blog or not client_id or not secret:
            fail("set BLOG_URL, BLOG_CLIENT_ID, and BLOG_CLIENT_SECRET_FILE or BLOG_CLIENT_SECRET")
        print(publish(blog, client_id, secret, sys.argv[1], sys.argv[2]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as wrong:  # those of requests are OSErrors
        fail(f"{type(wrong).__name__}: {wrong}")


if __name__ == "__main__":
    main()
