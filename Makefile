# make test    all tests; installs what they need where it can
# make check   what CI adds: drift, vet, staticcheck, govulncheck, the race detector
# make fuzz    every fuzz target for FUZZTIME (10 minutes each)
# make mutate  mutates the checks of tokens and keys, and counts what tests miss
# make long    three replicas with 100 revocations, 200 kills while keys are made, and a
#              minute of tokens while their issuer's keys rotate
# make timing  how long keys of each kind take to be refused, 20,000 times each

GO         ?= go
FUZZTIME   ?= 10m
SHORTFUZZ  ?= 5s
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
GREMLINS    = github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
MUTATED    ?= runtime/idtoken runtime/jwks

.PHONY: test tools check drift vet staticcheck vuln race fuzz fuzz-short mutate long timing

test: tools
	$(GO) test -timeout 30m ./...

# What tests use beside Go, each named as PROGRAM=PACKAGE of Debian: curl runs
# the lines that dev prints, openssl looks at certificates, the race detector
# needs a C compiler, chromium visits pages and certutil has it trust a test's
# authority, node runs an identity provider that npm installs, redis-server and
# postgres, which Debian has beside the PATH, keep what replicas share, psql asks
# the latter, python3 runs code samples with requests, a library that is known
# by its folder, nginx with its stream module, known by its file, stands in front
# of a server, and systemd-analyze judges a unit. What is missing is installed
# where that can be done, and named where not; the tests that need it are then
# skipped with a sentence.
TOOLS = curl=curl openssl=openssl update-ca-certificates=ca-certificates gcc=build-essential git=git \
	chromium=chromium certutil=libnss3-tools node=nodejs npm=npm redis-server=redis-server \
	psql=postgresql-client postgres=postgresql nginx=nginx-light systemd-analyze=systemd \
	/usr/lib/nginx/modules/ngx_stream_module.so=libnginx-mod-stream python3=python3 \
	/usr/lib/python3/dist-packages/requests=python3-requests
tools:
	@command -v $(GO) >/dev/null || { echo "needs Go 1.26 or later: https://go.dev/doc/install" >&2; exit 1; }
	@missing=; PATH="$$PATH:/usr/sbin:$$(echo /usr/lib/postgresql/*/bin | tr ' ' :)"; for t in $(TOOLS); do command -v $${t%%=*} >/dev/null || test -e $${t%%=*} || missing="$$missing $${t#*=}"; done; \
	if [ -n "$$missing" ]; then \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt-get update && apt-get install -y --no-install-recommends $$missing; \
	  else echo "missing, and not installed without apt-get and root:$$missing" >&2; fi; fi
	@$(GO) mod download || { echo "the Go modules of go.mod cannot be had: is the module proxy within reach?" >&2; exit 1; }
# The identity providers that tests start are built once, here: the first time
# takes minutes, more than a test may.
	@$(GO) test -count=1 -timeout 45m -run '^TestInstall$$' ./internal/testenv

check: drift vet staticcheck vuln fuzz-short race

drift:
	$(GO) generate ./...
	@git diff --exit-code -- . || { echo "generated code is stale: commit what go generate wrote" >&2; exit 1; }
	@test -z "$$(git status --porcelain -- '*.go')" || { git status --short -- '*.go' >&2; echo "go generate made files that are not committed" >&2; exit 1; }
	$(GO) mod tidy -diff

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go') >&2; echo "not gofmt-clean" >&2; exit 1; }
	$(GO) vet ./...

staticcheck:
	$(GO) run $(STATICCHECK) ./...

# The vulnerability database is asked over the network. Where it cannot be
# reached that is said, and nothing is claimed.
vuln:
	@out=$$($(GO) run $(GOVULNCHECK) ./... 2>&1); rc=$$?; echo "$$out" | tail -n 20; \
	if [ $$rc -ne 0 ]; then \
	  if echo "$$out" | grep -qiE 'fetching vulnerabilities|dial tcp|no such host|forbidden|connection refused'; then \
	    echo "govulncheck: NOT CHECKED, its database cannot be reached from here"; \
	  else exit $$rc; fi; fi

race: tools
	$(GO) test -race -timeout 40m ./...

fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZTIME=$(SHORTFUZZ)

# One target after the other: go test -fuzz takes one at a time. Where its own
# clock beats it at the end (go.dev/issue/75804), which finds nothing and says so
# in one line, the target runs once more.
fuzz:
	@set -e; for f in $$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do \
	  for t in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$f); do \
	    for try in 1 2; do \
	      echo "== $$(dirname $$f) $$t"; rc=0; \
	      out=$$($(GO) test ./$$(dirname $$f) -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) 2>&1) || rc=$$?; echo "$$out"; \
	      if [ $$rc -eq 0 ]; then break; fi; \
	      if [ $$try -eq 2 ] || echo "$$out" | grep -qE 'Failing input|panic:|_test.go:' || \
	        ! echo "$$out" | grep -qx ' *context deadline exceeded'; then exit $$rc; fi; \
	    done; \
	  done; done

# Over whole packages, in a copy of what is committed: 12 to 22 minutes each on
# two cores. It fails where less than nine mutants of ten are killed.
mutate:
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; git archive HEAD | tar -x -C "$$dir"; cd "$$dir"; \
	for p in $(MUTATED); do \
	  $(GO) run $(GREMLINS) unleash ./$$p --workers 1 --timeout-coefficient 6 --threshold-efficacy 90 \
	    --arithmetic-base --conditionals-boundary --conditionals-negation --increment-decrement --invert-assignments \
	    --invert-bitwise --invert-bwassign --invert-logical --invert-loopctrl --invert-negatives --remove-self-assignments; \
	done

# What goes wrong seldom is tried five times as often as in make test.
long: tools
	REPLICAS_LONG=1 $(GO) test -count=1 -v -timeout 30m -run '^TestReplicas$$' ./examples/blog/replicas
	LONG=1 $(GO) test -count=1 -v -timeout 30m -run '^TestKilled$$' ./examples/blog
	LONG=1 $(GO) test -count=1 -v -timeout 10m -run '^TestRotation$$' ./runtime/bearer

# How long keys of each kind take to be refused, on a machine with nothing else
# to do: medians, quartiles, and the differences with what chance makes of them.
timing: tools
	$(GO) test -timeout 60m -run '^$$' -bench '^BenchmarkRefused$$' -benchtime 20000x -v ./runtime/apikey
