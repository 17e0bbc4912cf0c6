# The front door. Meson does the work; `make help` lists what there is.
BUILD ?= build
PREFIX ?= /usr/local
MESON_OPTIONS ?=
# Silent unless something goes wrong.
NINJA = ninja -C $(BUILD) >$(BUILD)/ninja.log || { cat $(BUILD)/ninja.log; exit 1; }

.DEFAULT_GOAL := all
.PHONY: all debug sanitize demo tales test golden install uninstall bench fuzz format clean help deps

all: $(BUILD)/build.ninja ## build the program (build/socle) and the library
	@$(NINJA)
	@echo "built $(BUILD)/socle"

deps:
	@tools/install-deps

$(BUILD)/build.ninja: | deps
	@meson setup $(BUILD) --prefix $(PREFIX) -Dwerror=false $(MESON_OPTIONS) >/dev/null || \
	    { cat $(BUILD)/meson-logs/meson-log.txt; exit 1; }

debug: deps ## the program with assertions and symbols, unoptimized (build-debug/socle)
	@[ -e build-debug/build.ninja ] || meson setup build-debug -Dbuildtype=debug >/dev/null
	@ninja -C build-debug

sanitize: deps ## the program under address and undefined-behaviour sanitizers (build-sanitize/socle)
	@[ -e build-sanitize/build.ninja ] || meson setup build-sanitize -Dbuildtype=debugoptimized \
	    -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C build-sanitize

demo: all ## a story by the bundled model
	@$(BUILD)/socle run -m share/tales.gguf -p "Once upon a time" -n 150 --temperature 0.6 --seed 2

TALES ?= ../shared/data/tales.txt
TALES_RUN = $(BUILD)/tales
tales: all ## train the bundled model anew, half an hour on two cores; goes on where it was; TALES=tales.txt
	@mkdir -p $(TALES_RUN)
	@$(BUILD)/socle tokenizer train $(TALES) -o $(TALES_RUN)/vocabulary.gguf --vocab 2048 \
	    --lines 50 --holdout-every 20 --holdout-first 10
	@$(BUILD)/socle train share/tales.conf --data $(TALES) --tokenizer $(TALES_RUN)/vocabulary.gguf \
	    --out $(TALES_RUN)/run $$([ ! -d $(TALES_RUN)/run/checkpoints ] || echo --resume)
	@cp $(TALES_RUN)/run/model.gguf share/tales.gguf
	@cp $(TALES_RUN)/run/loss.svg share/tales.svg
	@cp $(TALES_RUN)/run/manifest.json share/tales.json

test: ## every test, in release and sanitizer builds and across compilers; ends with one line of counts
	@tools/install-deps --tests
	@tests/run

golden: $(BUILD)/build.ninja ## write tests/golden/hashes.txt anew, after a change of the arithmetic that was meant
	@ninja -C $(BUILD) --quiet tests/golden
	@$(BUILD)/tests/golden --write tests/golden/hashes.txt

install: $(BUILD)/build.ninja ## program, library, headers, man pages, completions, model (PREFIX=/usr/local, DESTDIR=)
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@$(NINJA)
	@meson install -C $(BUILD) --no-rebuild --quiet
	@echo "installed under $(DESTDIR)$(PREFIX); the library is in" \
	    $$(dirname $$(find $(DESTDIR)$(PREFIX)/lib* -name libsocle.so | head -1))

uninstall: ## take away what `make install` put in place
	@ninja -C $(BUILD) uninstall

bench: all ## speed beside llama.cpp (where installed) and this machine's limits; MODELS="a.gguf b.gguf" BENCH=options
	@if command -v python3 >/dev/null; then bench/compare.py --program $(BUILD)/socle $(BENCH) $(MODELS); \
	else for model in $(or $(MODELS),share/tales.gguf); do $(BUILD)/socle bench -m "$$model"; done; fi

fuzz: deps ## fuzz every parser for a minute each (needs clang); FUZZ_SECONDS=60
	@tests/fuzz/run

format: ## clang-format on what changed
	@git diff --name-only --diff-filter=d HEAD -- '*.c' '*.h' | xargs -r clang-format -i

clean: ## remove every build
	@rm -rf build build-*

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
