# gradient: a Lua module for DigitalOcean's Gradient AI indexing jobs.
#
#   make          builds build/gradient/core.so
#   make demo     installs what is missing, then lists 250 jobs of the local API server
#                 (LIVE=1 and DIGITALOCEAN_ACCESS_TOKEN: those of the real API)
#   make test     installs what is missing, then lint, specs, specs under the sanitizers, valgrind
#   make static   build/static/libgradient.a, with the Lua part in it, for programs that embed Lua
#   make install  into PREFIX (/usr/local), below DESTDIR
#   make uninstall   removes what make install put there
#   make bench    installs what is missing; figures against peers
#   make soak     100,000 requests with mixed faults, plainly and fewer under the sanitizers
#   make fuzz SECONDS=60     fuzzes the decoder, and what a server may answer, for so long each
#   make docs     the reference as HTML, build/docs/index.html
#   make coverage installs what is missing; which lines of C and Lua the specs run
#   make debians  as root: make demo and make test in a fresh bookworm, trixie and sid
#   make other-luas  the specs with every other Lua from 5.4 on that Debian has
#   make dist SOURCE_URL=… HOMEPAGE=…   build/dist/: the archive of what is committed, and the
#                 rockspec for it
#   make hosts    the module in programs of Debian's that have Lua in them, small and large
#   make clean

SHELL := /bin/bash
.SHELLFLAGS := -e -o pipefail -c

LUA ?= lua5.4
LUA_VERSION = $(shell $(LUA) -e 'print((_VERSION:match("%d+%.%d+")))' 2>/dev/null)
LUA_CFLAGS ?= $(shell pkg-config --cflags lua$(LUA_VERSION))
CURL_CFLAGS ?= $(shell pkg-config --cflags libcurl)
CURL_LIBS ?= $(shell pkg-config --libs libcurl)

OBJCOPY ?= objcopy
CFLAGS ?= -O2 -g
# A Lua that is built as C++ raises errors by exceptions, which must get through C as well.
EXCEPTIONS := $(shell echo 'int x;' | $(CC) -fexceptions -x c -c -o /dev/null - 2>/dev/null && echo -fexceptions)
C99 := -std=c99 -D_GNU_SOURCE -fPIC $(EXCEPTIONS)
WERROR ?= -Werror
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdeclaration-after-statement $(WERROR)
HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fvisibility=hidden
LINK := -shared -Wl,-z,relro,-z,now,-z,noexecstack
SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

PREFIX ?= /usr/local
LUA_DIR = $(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)
LUA_LIBDIR = $(DESTDIR)$(PREFIX)/lib/lua/$(LUA_VERSION)
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man/man1

SOURCES := src/core.c src/client.c src/transfer.c src/json.c
HEADERS := src/client.h src/transfer.h src/json.h
LUA_FILES := $(shell cd lua && find gradient -name '*.lua' | sort)

# Debian's names of what each step needs
BUILD_PACKAGES := gcc libc6-dev pkg-config lua5.4 liblua5.4-dev libcurl4-openssl-dev lua-cjson lua-argparse
DEMO_PACKAGES := $(BUILD_PACKAGES) lua-cqueues lua-socket ca-certificates
TEST_PACKAGES := $(DEMO_PACKAGES) lua-busted lua-check lua-luv lua-event \
  luarocks clang clang-tidy clang-format cppcheck valgrind libclang-rt-dev nginx \
  libnginx-mod-stream openssl curl locales

# Programs with Lua in them that spec/hosts_spec.lua starts, unpacked in build/ and never installed
SMALL_HOSTS := lighttpd lighttpd-modules-lua prosody
HOSTS := $(SMALL_HOSTS) lua-http apache2-bin nmap pandoc haproxy

# What `make specs` runs; `luarocks test -- SPECS=spec/list_spec.lua` is passed on to it.
SPECS ?= spec

# Runs something with what was built here.
BUILT := LUA_PATH='lua/?.lua;lua/?/init.lua;./?.lua;;' LUA_CPATH='build/?.so;;'

# busted by the PATH: Debian's script for any Lua, or LuaRocks' wrapper around one.
BUSTED = $(shell busted=$$(command -v busted) || busted=busted; \
  if head -n 1 "$$busted" 2>/dev/null | grep -q lua; then echo $(LUA) $$busted; \
  else echo $$busted; fi)

all: build/gradient/core.so

# Without Lua's version, nothing would be installed where it belongs.
define need_lua
@[ -n "$(LUA_VERSION)" ] || { echo "$(LUA) does not run: install Lua 5.4, or say LUA=…" >&2; exit 1; }
endef

# For hosts that keep Lua to themselves: LINK_LUA=1 links the module with liblua.
LUA_LIBS = $(if $(LINK_LUA),$(shell pkg-config --libs lua$(LUA_VERSION)))

build/link-lua-$(or $(LINK_LUA),0):
	@mkdir -p $(@D)
	@rm -f build/link-lua-*
	@touch $@

build/gradient/core.so: $(SOURCES) $(HEADERS) Makefile build/link-lua-$(or $(LINK_LUA),0)
	$(need_lua)
	@mkdir -p $(@D)
	$(CC) $(C99) $(WARNINGS) $(HARDENING) $(CFLAGS) $(LUA_CFLAGS) $(CURL_CFLAGS) $(LINK) $(LDFLAGS) \
	  -o $@ $(SOURCES) $(CURL_LIBS) $(LUA_LIBS) -lpthread -ldl

build/sanitized/gradient/core.so: $(SOURCES) $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(CC) $(C99) $(WARNINGS) -fvisibility=hidden $(SANITIZE) $(LUA_CFLAGS) $(CURL_CFLAGS) -shared \
	  -o $@ $(SOURCES) $(CURL_LIBS) -lpthread -ldl

build/sanitized/lua: spec/tools/sanitized_lua.c Makefile
	@mkdir -p $(@D)
	$(CC) $(C99) $(WARNINGS) $(SANITIZE) $(LUA_CFLAGS) -o $@ $< -Wl,-E \
	  $(shell pkg-config --libs lua$(LUA_VERSION))

# The module as a static library, the Lua part included: link it, libcurl and Lua, and call
# luaL_requiref(L, "gradient", luaopen_gradient, 0). It is a single object, so that the names that
# its files share among one another cannot clash with the program's.
build/static/lua_files.h: src/embed.lua $(addprefix lua/,$(LUA_FILES))
	@mkdir -p $(@D)
	$(LUA) src/embed.lua $(LUA_FILES) > $@

build/static/libgradient.a: $(SOURCES) $(HEADERS) src/embedded.c build/static/lua_files.h Makefile
	rm -f $@ build/static/*.o
	cd build/static && $(CC) $(C99) $(WARNINGS) $(HARDENING) $(CFLAGS) $(LUA_CFLAGS) \
	  $(CURL_CFLAGS) -I. -c $(addprefix ../../,$(SOURCES) src/embedded.c) && \
	  $(LD) -r -o gradient.o $(notdir $(SOURCES:.c=.o)) embedded.o && \
	  $(OBJCOPY) --localize-hidden gradient.o
	$(AR) rcs $@ build/static/gradient.o

static: build/static/libgradient.a

# The command finds its module wherever PREFIX is. Its manual page is made from its declarations,
# which needs argparse.
install: all
	$(need_lua)
	install -d "$(LUA_LIBDIR)/gradient" "$(DESTDIR)$(PREFIX)/bin" "$(MAN_DIR)"
	install -m 755 build/gradient/core.so "$(LUA_LIBDIR)/gradient/core.so"
	sed -e '1s|env lua$$|env $(LUA)|' -e 's|^local prefix\b|& = "$(PREFIX)"|' lua/gradient-jobs \
	  > "$(DESTDIR)$(PREFIX)/bin/gradient-jobs"
	chmod 755 "$(DESTDIR)$(PREFIX)/bin/gradient-jobs"
	@for file in $(LUA_FILES); do install -D -m 644 lua/$$file "$(LUA_DIR)/$$file"; done
	@if $(BUILT) $(LUA) -e 'require("gradient.cli.manual").write()' 2>/dev/null \
	  > build/gradient-jobs.1; then install -m 644 build/gradient-jobs.1 "$(MAN_DIR)"; \
	  else echo "no manual page: the Lua module argparse is missing"; fi

uninstall:
	$(need_lua)
	rm -rf "$(LUA_LIBDIR)/gradient" "$(LUA_DIR)/gradient"
	rm -f "$(DESTDIR)$(PREFIX)/bin/gradient-jobs" "$(MAN_DIR)/gradient-jobs.1"

clean:
	rm -rf build gradient src/*.o

docs:
	$(call install_packages,lua5.4)
	@mkdir -p build/docs
	@$(BUILT) $(LUA) spec/tools/reference.lua build/docs/index.html
	@echo $(CURDIR)/build/docs/index.html

# A release: what is committed as an archive, the same to the byte whoever makes it, and a rockspec
# that expects it at SOURCE_URL. Publish the archive there, then the rockspec.
ISSUES_URL ?= $(HOMEPAGE)/issues

dist:
	$(call install_packages,git)
	@[ -n "$(SOURCE_URL)" ] || { echo "make dist: SOURCE_URL= must say where everybody will find" \
	  "the archive" >&2; exit 1; }
	@[ -n "$(HOMEPAGE)" ] || { echo "make dist: HOMEPAGE= must say where the project is" >&2; exit 1; }
	@mkdir -p build/dist
	@version=$$(git show HEAD:src/core.c | sed -n 's/^#define GRADIENT_VERSION "\(.*\)"/\1/p'); \
	release=gradient-$$version; cd build/dist; \
	git -c tar.umask=0022 -C ../.. archive --prefix=$$release/ HEAD | gzip -9n > $$release.tar.gz; \
	md5=$$(md5sum < $$release.tar.gz | cut -d ' ' -f 1); \
	git show HEAD:rockspec/gradient-scm-1.rockspec | awk -v version=$$version -v md5=$$md5 \
	  -v url='$(SOURCE_URL)' -v homepage='$(HOMEPAGE)' -v issues='$(ISSUES_URL)' ' \
	  /^version = / { $$0 = "version = \"" version "-1\"" } \
	  /^source = / { inside = 1; print "source = {\n  url = \"" url "\",\n  md5 = \"" md5 "\",";  \
	    print "  dir = \"gradient-" version "\"," } \
	  /^}/ { inside = 0 } \
	  /make dist/ { $$0 = "  homepage = \"" homepage "\",\n  issues_url = \"" issues "\"," } \
	  !inside { print }' > $$release-1.rockspec; \
	ls -1 $$PWD/$$release.tar.gz $$PWD/$$release-1.rockspec

# Installs those of the packages that are not there yet.
define install_packages
@missing=; for package in $(1); do \
  [ "$$(dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || \
    missing="$$missing $$package"; \
done; \
if [ -n "$$missing" ]; then \
  command -v apt-get >/dev/null || { echo "Not a Debian system; please install:$$missing"; exit 1; }; \
  echo "Installing from Debian:$$missing"; \
  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
  command -v $${sudo:-true} >/dev/null || { echo "As root, run: apt-get install$$missing"; exit 1; }; \
  $$sudo apt-get update -qq; \
  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing \
    >/dev/null; \
fi
endef

demo:
	$(call install_packages,$(DEMO_PACKAGES))
	@$(MAKE) --no-print-directory -s all
	@$(BUILT) $(LUA) spec/server/demo.lua

test:
	$(call install_packages,$(TEST_PACKAGES))
	@spec/hosts/unpack.sh $(SMALL_HOSTS)
	@rm -f build/*.log
	@$(MAKE) --no-print-directory -s all static
	@status=0; \
	nice $(MAKE) --no-print-directory checks SECONDS=5 >build/checks.out 2>&1 & checks=$$!; \
	for step in specs sanitized-specs; do $(MAKE) --no-print-directory $$step || status=1; done; \
	wait $$checks || status=1; cat build/checks.out; \
	awk '/ successes? \// { passed += $$1; failed += $$4 + $$7 } \
	  END { printf "%d passed, %d failed\n", passed, failed }' build/*.log; \
	exit $$status

# What keeps a processor busy, beside the specs, which mostly wait; one after the other.
checks:
	@status=0; for step in lint valgrind torture fuzz; do \
	  $(MAKE) --no-print-directory $$step || status=1; \
	done; exit $$status

hosts:
	$(call install_packages,$(TEST_PACKAGES))
	@spec/hosts/unpack.sh $(HOSTS)
	@$(MAKE) --no-print-directory specs SPECS='spec/hosts_spec.lua spec/host_spec.lua spec/wait_spec.lua'

# The analyzer takes a descriptor that dup2 gives a new meaning for a leak.
lint: build/static/lua_files.h
	luacheck --quiet lua spec .luacheckrc
	clang-format --dry-run -Werror src/*.c src/*.h
	clang-tidy --quiet src/*.c -- $(C99) -Ibuild/static $(LUA_CFLAGS) $(CURL_CFLAGS) 2>/dev/null
	for source in src/*.c; do $(CC) $(C99) -O2 -fanalyzer -Wno-analyzer-fd-leak -Werror \
	  -Ibuild/static $(LUA_CFLAGS) $(CURL_CFLAGS) -c -o /dev/null $$source || exit 1; done
	@mkdir -p build/lua_32bits
	@cp $(patsubst -I%,%/*.h,$(LUA_CFLAGS)) build/lua_32bits
	@sed -i 's/^#define LUA_32BITS.*/#define LUA_32BITS 1/' build/lua_32bits/luaconf.h
	for source in $(SOURCES); do $(CC) $(C99) $(WARNINGS) -Ibuild/lua_32bits $(CURL_CFLAGS) \
	  -c -o /dev/null $$source || exit 1; done
	cppcheck --quiet --enable=warning,performance,portability --error-exitcode=1 \
	  --suppress=preprocessorErrorDirective --suppress=normalCheckLevelMaxBranches src

# The specs that use what is loaded in their own process; the others build copies of it.
spec_files = $(foreach name,$(1),spec/$(name)_spec.lua)
IN_PROCESS := $(filter-out $(call spec_files,docs host hosts install rock static), \
  $(sort $(wildcard spec/*_spec.lua)))

specs: all
	@echo "== specs =="
	@$(BUILT) $(BUSTED) $(SPECS) | tee build/specs.log

sanitized-specs: build/sanitized/gradient/core.so build/sanitized/lua
	@echo "== specs under AddressSanitizer and UndefinedBehaviorSanitizer =="
	@$(BUILT) build/sanitized/lua /usr/bin/busted --cpath='build/sanitized/?.so' \
	  $(filter-out $(call spec_files,annotations demo readme server),$(IN_PROCESS)) \
	  | tee build/sanitized.log

# 100,000 requests with mixed faults: memory and descriptors must stay where they are.
soak: all build/sanitized/gradient/core.so build/sanitized/lua
	$(call install_packages,$(TEST_PACKAGES))
	@echo "== soak =="
	@$(BUILT) MALLOC_TRIM_THRESHOLD_=0 MALLOC_MMAP_THRESHOLD_=32768 \
	  $(LUA) spec/fuzz/soak.lua 100000
	@echo "== soak under the sanitizers =="
	@$(BUILT) LUA_CPATH='build/sanitized/?.so;;' ASAN_OPTIONS=quarantine_size_mb=1 \
	  build/sanitized/lua spec/fuzz/soak.lua 10000 4096 # the sanitizer keeps what is freed

# Decodes with every allocation failing once, in a program of its own.
build/sanitized/torture_decode: spec/fuzz/torture_decode.c src/json.c src/json.h Makefile
	@mkdir -p $(@D)
	$(CC) $(C99) $(WARNINGS) $(SANITIZE) -Isrc $(LUA_CFLAGS) -o $@ spec/fuzz/torture_decode.c \
	  src/json.c $(shell pkg-config --libs lua$(LUA_VERSION))

torture: build/sanitized/torture_decode
	@echo "== decoding while allocations fail =="
	@build/sanitized/torture_decode

# Floats as json.c reads them, against the C library.
build/fuzz/compare_floats: spec/fuzz/compare_floats.c src/json.c src/json.h Makefile
	@mkdir -p $(@D)
	$(CC) $(C99) -O2 $(WARNINGS) -Isrc $(LUA_CFLAGS) -o $@ spec/fuzz/compare_floats.c src/json.c \
	  $(shell pkg-config --libs lua$(LUA_VERSION)) -lm

# Looks for new inputs for SECONDS, starting with those in spec/fuzz/corpus.
SECONDS ?= 60

build/fuzz/fuzz_json: spec/fuzz/fuzz_json.c src/json.c src/json.h Makefile
	@mkdir -p $(@D)/corpus
	clang $(C99) -O2 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Isrc \
	  $(LUA_CFLAGS) -o $@ spec/fuzz/fuzz_json.c src/json.c \
	  $(shell pkg-config --libs lua$(LUA_VERSION))

# The whole of the core, and the Lua side on top of it.
build/fuzz/fuzz_answer: spec/fuzz/fuzz_answer.c $(SOURCES) $(HEADERS) Makefile
	@mkdir -p $(@D)/answers
	clang $(C99) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Isrc \
	  $(LUA_CFLAGS) $(CURL_CFLAGS) -o $@ spec/fuzz/fuzz_answer.c $(SOURCES) $(CURL_LIBS) \
	  $(shell pkg-config --libs lua$(LUA_VERSION)) -lpthread -ldl

# Fuzzes one target, starting with the files in a folder of spec/fuzz: name, folder, longest input.
define run_fuzzer
@echo "== fuzzing $(1) for $(SECONDS) seconds =="
@cd build/fuzz && { LUA_PATH='../../lua/?.lua;../../lua/?/init.lua' ./$(1) -detect_leaks=1 \
  -max_total_time=$(SECONDS) -max_len=$(3) -print_final_stats=1 $(2) ../../spec/fuzz/$(2) \
  >$(1).log 2>&1 || { tail -n 100 $(1).log; exit 1; }; grep '^stat::' $(1).log; }
endef

fuzz:
	$(call install_packages,$(BUILD_PACKAGES) clang libclang-rt-dev)
	@$(MAKE) --no-print-directory build/fuzz/fuzz_json build/fuzz/fuzz_answer
	$(call run_fuzzer,fuzz_json,corpus,512)
	$(call run_fuzzer,fuzz_answer,answers,4096)

# Figures against peers, as ratios within one run; the SDK comes from npm, into build/.
bench:
	$(call install_packages,$(DEMO_PACKAGES) lua-luv lua-event nginx openssl curl $(if $(shell command -v node),,nodejs npm))
	@$(MAKE) --no-print-directory -s all build/bench/decode_floor.so build/bench/transfer_floor.so \
	  build/bench/node_modules
	@$(BUILT) $(LUA) -e 'require("spec.bench.report").heading()'
	@ulimit -n $$(ulimit -Hn); status=0; for part in decode transfer; do \
	  $(BUILT) LUA_CPATH='build/?.so;build/bench/?.so;;' PEERS=build/bench $(LUA) \
	    spec/bench/$$part.lua || status=1; \
	done; exit $$status

build/bench/transfer_floor.so: spec/bench/transfer_floor.c Makefile
	@mkdir -p $(@D)
	$(CC) $(C99) -O2 $(LUA_CFLAGS) $(CURL_CFLAGS) -shared -o $@ $< $(CURL_LIBS)

build/bench/decode_floor.so: spec/bench/decode_floor.c Makefile
	@mkdir -p $(@D)
	$(CC) $(C99) -O2 $(LUA_CFLAGS) -shared -o $@ $<

build/bench/node_modules:
	@mkdir -p $(@D)
	@echo '{ "private": true }' > $(@D)/package.json
	npm install --loglevel=error --no-audit --no-fund --prefix $(@D) @digitalocean/gradient@0.1.0-alpha.2

# How many lines the specs run.

build/coverage/gradient/core.so: $(SOURCES) $(HEADERS) Makefile
	@mkdir -p $(@D)
	for source in $(SOURCES); do $(CC) $(C99) $(WARNINGS) -fvisibility=hidden -O0 -g --coverage \
	  $(LUA_CFLAGS) $(CURL_CFLAGS) -c -o build/coverage/$$(basename $$source .c).o $$source; done
	$(CC) --coverage -shared -o $@ build/coverage/*.o $(CURL_LIBS) -lpthread -ldl

coverage:
	$(call install_packages,$(TEST_PACKAGES))
	@$(MAKE) --no-print-directory -s build/coverage/gradient/core.so
	@$(MAKE) --no-print-directory -s -f spec/hosts/hosts.mk \
	  build/hosts/gcov/host_torture build/hosts/gcov/host_fork
	@rm -rf build/coverage/lines build/coverage/*.gcda build/hosts/gcov/*.gcda
	@mkdir build/coverage/lines
	@$(BUILT) LINE_HOOK=$(CURDIR)/build/coverage/lines \
	  LUA_INIT_5_4=@$(CURDIR)/spec/tools/line_hook.lua \
	  $(BUSTED) --cpath='build/coverage/?.so' $(IN_PROCESS)
	@$(BUILT) $(LUA) spec/tools/coverage.lua

# SUITES="trixie" and TARGETS="demo" make it shorter.
debians:
	$(call install_packages,debootstrap git)
	@TARGETS='$(TARGETS)' spec/tools/debians.sh $(SUITES)

other-luas:
	$(call install_packages,$(TEST_PACKAGES))
	@$(BUILT) $(LUA) spec/tools/other_luas.lua

valgrind: all
	@echo "== specs under valgrind =="
	@$(BUILT) valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite \
	  --error-exitcode=9 $(BUSTED) spec/list_spec.lua spec/paginator_spec.lua \
	  | tee build/valgrind.log

.PHONY: all static install clean docs dist demo test checks lint specs sanitized-specs \
  valgrind torture soak fuzz bench coverage \
  debians hosts other-luas uninstall
