"use strict";
// The page at /docs: swagger-ui with a console that takes no key of the live
// environment, code samples at each operation, and the server's own login.
(async () => {
  const { base, prefix, login, session, account, document: source } = document.body.dataset;
  const live = new RegExp(prefix + "_live_");
  const keys = new RegExp("(" + prefix + "_[a-z]+_)[0-9A-Za-z_]+", "g");

  // What the console refuses is said on top of all else, dialogs too.
  const refused = document.querySelector("#refused");
  const refusal = "This is a key of the live environment. The console takes only test keys, and nothing was sent. " +
    "Use a key that begins with " + prefix + "_test_, and revoke this one if others can see this screen.";
  function tell(text) {
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", () => refused.replaceChildren());
    const words = document.createElement("p");
    words.textContent = text;
    refused.replaceChildren(words, close);
  }

  // holdsLive looks for a live key in a text, however it is encoded.
  function holdsLive(text) {
    const forms = [text];
    for (let form = text, i = 0; i < 3; i++) { // escapes may be escaped
      try {
        form = decodeURIComponent(form);
      } catch {
        break;
      }
      forms.push(form);
    }
    for (const word of [...forms].flatMap((form) => [...form.split(/[\s,;=:]+/), ...form.split(/[^0-9A-Za-z+_-]+/)])) {
      if (word.length < 8) continue;
      try {
        forms.push(atob(word.replace(/-/g, "+").replace(/_/g, "/")));
      } catch { /* no base64 */ }
    }
    return forms.some((form) => live.test(form));
  }

  function textsOf(value) {
    if (value === null || value === undefined) return [];
    if (typeof value === "string") return [value];
    if (value instanceof FormData || value instanceof URLSearchParams || value instanceof Headers) return [...value].flat().filter((v) => typeof v === "string");
    if (typeof value === "object") return Object.entries(value).flatMap(([key, each]) => [key, ...textsOf(each)]);
    return [String(value)];
  }

  // check lets a request through or throws.
  function check(request) {
    if (new URL(request.url, location.href).origin !== location.origin) {
      throw new Error("The console asks this server and no other.");
    }
    if ([request.url, ...textsOf(request.headers), ...textsOf(request.body)].some(holdsLive)) {
      tell(refusal);
      throw new Error(refusal);
    }
    return request;
  }

  // forConsole makes the document fit this server and swagger-ui: its paths are
  // here, and a key sent as Authorization: apikey KEY is a header to it.
  function forConsole(spec) {
    const at = (ref) => ref.slice(2).split("/").reduce((v, key) => v?.[decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~")], spec);
    spec.servers = [{ url: base || "/" }];
    for (const item of Object.values(spec.paths ?? {})) {
      delete item.servers;
      for (const operation of Object.values(item)) {
        if (operation && typeof operation === "object") delete operation.servers;
      }
    }
    const schemes = spec.components?.securitySchemes ?? {};
    for (const [name, scheme] of Object.entries(schemes)) {
      const it = typeof scheme?.$ref === "string" && scheme.$ref.startsWith("#/") ? at(scheme.$ref) : scheme;
      if (it?.type === "http" && it.scheme?.toLowerCase() === "apikey") {
        schemes[name] = { type: "apiKey", in: "header", name: "Authorization", description: it.description, "x-word": it.scheme };
      } else {
        schemes[name] = it;
      }
    }
    return spec;
  }

  // byPerson tells whether a scheme is met by signing in, or by no text at all.
  const byPerson = (scheme) => ["oauth2", "openIdConnect", "mutualTLS"].includes(scheme.get("type")) ||
    scheme.get("type") === "apiKey" && scheme.get("in") === "cookie";

  function masked(request, specSelectors) {
    if (!request?.get) return request;
    let url = String(request.get("url") ?? "").replace(keys, "$1…");
    const schemes = specSelectors.specJson().getIn(["components", "securitySchemes"]);
    schemes?.forEach((scheme) => {
      if (scheme?.get?.("in") !== "query") return;
      const name = scheme.get("name");
      url = url.replace(/([?&])([^=&]*)=[^&]*/g, (pair, mark, key) => {
        let plain = key;
        try {
          plain = decodeURIComponent(key.replaceAll("+", " "));
        } catch { /* as it is */ }
        return plain === name ? mark + key + "=…" : pair;
      });
    });
    return request.set("url", url).delete("headers");
  }

  let language = 0; // chosen for all samples
  const follow = new Set();

  function guard(system) {
    const h = system.React.createElement;
    const { useState, useEffect, useId } = system.React;

    function whoMayCall(operation) {
      const list = operation.get("security") ?? system.specSelectors.specJson().get("security");
      if (!list || list.size === 0) return "anyone";
      return list.map((needs) => needs.size === 0 ? "anyone who presents nothing" : needs.entrySeq().map(([name, scopes]) =>
        scopes?.size ? name + " (" + scopes.join(", ") + ")" : name).join(" and ")).join(", or ");
    }

    function Samples({ path, method }) {
      const [, redraw] = useState(0);
      const [copied, setCopied] = useState("");
      const id = useId();
      useEffect(() => {
        const changed = () => { setCopied(""); redraw((n) => n + 1); };
        follow.add(changed);
        return () => follow.delete(changed);
      }, []);
      const operation = system.specSelectors.specJson().getIn(["paths", path, method]);
      const samples = operation?.get?.("x-codeSamples")?.toJS?.() ?? [];
      if (samples.length === 0) return null;
      const chosen = Math.min(language, samples.length - 1);
      const choose = (n) => { language = n; follow.forEach((changed) => changed()); };
      const onKeyDown = (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = (chosen + step + samples.length) % samples.length;
        choose(next);
        event.currentTarget.children[next].focus();
      };
      const copy = () => navigator.clipboard.writeText(String(samples[chosen].source)).then(() => setCopied("Copied"), () => setCopied("The browser does not let it be copied"));
      return h("section", { className: "samples", "aria-label": "Code samples" },
        h("p", { className: "callers" }, h("b", null, "Who may call: "), whoMayCall(operation)),
        h("div", { className: "samples-head" },
          h("div", { role: "tablist", "aria-label": "Language", onKeyDown }, samples.map((s, i) => h("button", {
            key: i, type: "button", role: "tab", id: id + "tab" + i, "aria-selected": i === chosen, "aria-controls": id + "panel",
            tabIndex: i === chosen ? 0 : -1, onClick: () => choose(i),
          }, s.label || s.lang))),
          h("button", { type: "button", className: "copy", onClick: copy }, "Copy"),
          h("span", { role: "status" }, copied)),
        h("pre", { role: "tabpanel", id: id + "panel", "aria-labelledby": id + "tab" + chosen, tabIndex: 0 }, h("code", null, String(samples[chosen].source))));
    }

    const nothing = () => () => null;
    return {
      statePlugins: {
        auth: {
          wrapActions: {
            authorize: (original) => (payload) => {
              const fit = {};
              for (const [name, entry] of Object.entries(payload ?? {})) {
                if (textsOf(entry?.value ?? "").some(holdsLive)) {
                  tell(refusal);
                  return undefined;
                }
                const word = entry?.schema?.get?.("x-word");
                fit[name] = word && entry.value ? { ...entry, value: word + " " + String(entry.value).trim() } : entry;
              }
              return original(fit);
            },
          },
        },
        spec: {
          wrapSelectors: {
            requestFor: (original, sys) => (state, ...args) => masked(original(...args), sys.specSelectors),
            // There is none of a request that was refused.
            mutatedRequestFor: (original, sys) => (state, ...args) => masked(original(...args), sys.specSelectors) ?? sys.specSelectors.requestFor(...args),
          },
        },
      },
      wrapComponents: {
        // What was sent is not shown again: it holds the key.
        curl: nothing,
        RequestSnippets: nothing,
        auths: (Original) => (props) => {
          const person = props.definitions.filter(byPerson);
          if (person.size === 0) return h(Original, props);
          return h("div", { className: "auth-container" }, h("h4", null, h("code", null, person.keySeq().first())),
            h("p", null, person.first().get("type") === "mutualTLS" ? "A client certificate: the browser asks for it." : "For people: sign in at the top of this page."));
        },
        responses: (Original) => (props) => h(system.React.Fragment, null, h(Samples, { path: props.path, method: props.method }), h(Original, props)),
      },
    };
  }

  // Who is signed in, if anybody is.
  async function showWho() {
    const signIn = document.querySelector("#sign-in");
    signIn.addEventListener("click", () => {
      signIn.href = login + "?return_to=" + encodeURIComponent("/docs" + location.hash);
    });
    const answer = await fetch(session, { headers: { Accept: "application/json" } });
    if (answer.status !== 200) return;
    const { user } = await answer.json();
    document.querySelector("#who").textContent = "Signed in as " + (user?.name || user?.email || user?.subject || "somebody");
    signIn.hidden = true;
    if (account) document.querySelector("#account").hidden = false;
  }

  const answer = await fetch(source);
  const spec = forConsole(await answer.json());
  window.SwaggerUIBundle({
    spec,
    dom_id: "#operations",
    presets: [window.SwaggerUIBundle.presets.apis],
    plugins: [guard],
    layout: "BaseLayout",
    deepLinking: true,
    persistAuthorization: false,
    requestSnippetsEnabled: false,
    queryConfigEnabled: false,
    validatorUrl: null,
    defaultModelsExpandDepth: 0,
    requestInterceptor: check,
  });
  if (login) await showWho();
})();
