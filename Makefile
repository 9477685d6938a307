# Everything a developer runs. `make help` lists the targets.

FUZZTIME    ?= 10s
STATICCHECK ?= go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

MUTATE      ?= core core/udp core/simnet core/wide core/wire bench/record bench/stat bench/mlrsearch bench/result bench/scenario/window.go

.PHONY: help build test check bench fuzz study mutate cover

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## compile the commands into bin/
	@mkdir -p bin
	go build -o bin/ ./cmd/...

test: ## run the tests (.ci/run has the long ones, too)
	go test ./...

check: ## gofmt, go vet, staticcheck, the direction of imports, darwin and windows builds
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "gofmt would change: $$files" >&2; exit 1; fi
	go vet -tags long ./...
	$(STATICCHECK) -tags long ./...
	@.ci/imports
	GOOS=darwin GOARCH=arm64 go vet ./...
	GOOS=windows GOARCH=amd64 go vet ./...

bench: ## run the Go benchmarks, with their ratios to the C baselines, and record them in reports/bench
	@.ci/bench record

bench-compare: ## run them and those of the last record in turns, and say what is significantly slower
	@.ci/bench compare

fuzz: ## run each native fuzz target for FUZZTIME (10s)
	@.ci/fuzz $(FUZZTIME)

study: ## simulate what one run cannot tell: text, a page with charts and all figures in bin/study
	@mkdir -p bin/study
	go run ./cmd/meshbench study -report bin/study/study.txt -report bin/study/study.html -json bin/study/study.json

mutate: ## change the code in one place at a time and see whether a test notices (N=100: a sample)
	go run .ci/mutate.go -n $(or $(N),0) $(MUTATE)

cover: ## test coverage, function by function
	go test -coverprofile=cover.out -coverpkg=./... ./...
	go tool cover -func=cover.out
