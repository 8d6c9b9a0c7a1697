# gradient: a Lua module for DigitalOcean's Gradient AI indexing jobs.
#
#   make          builds build/gradient/core.so
#   make demo     installs what is missing, then lists 250 jobs of the local API server
#                 (LIVE=1 and DIGITALOCEAN_ACCESS_TOKEN: those of the real API)
#   make test     installs what is missing, then lint, specs, specs under the sanitizers, valgrind
#   make static   build/static/libgradient.a, with the Lua part in it, for programs that embed Lua
#   make install  into PREFIX (/usr/local), below DESTDIR
#   make clean

SHELL := /bin/bash
.SHELLFLAGS := -e -o pipefail -c

LUA ?= lua5.4
LUA_VERSION = $(shell $(LUA) -e 'print((_VERSION:match("%d+%.%d+")))')
LUA_CFLAGS ?= $(shell pkg-config --cflags lua$(LUA_VERSION))
CURL_CFLAGS ?= $(shell pkg-config --cflags libcurl)
CURL_LIBS ?= $(shell pkg-config --libs libcurl)

CFLAGS ?= -O2 -g
C99 := -std=c99 -D_GNU_SOURCE -fPIC
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fvisibility=hidden
LINK := -shared -Wl,-z,relro,-z,now,-z,noexecstack
SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

PREFIX ?= /usr/local
LUA_DIR = $(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)
LUA_LIBDIR = $(DESTDIR)$(PREFIX)/lib/lua/$(LUA_VERSION)

SOURCES := src/core.c src/client.c src/transfer.c src/json.c
HEADERS := src/client.h src/transfer.h src/json.h
LUA_FILES := $(shell cd lua && find gradient -name '*.lua' | sort)

# Debian's names of what each step needs
BUILD_PACKAGES := gcc libc6-dev pkg-config lua5.4 liblua5.4-dev libcurl4-openssl-dev lua-cjson
DEMO_PACKAGES := $(BUILD_PACKAGES) lua-cqueues lua-socket
TEST_PACKAGES := $(DEMO_PACKAGES) lua-busted lua-check lua-luv luarocks clang clang-tidy \
  clang-format cppcheck valgrind nginx openssl curl locales

# How to run something with what was built here.
BUILT := LUA_PATH='lua/?.lua;lua/?/init.lua;./?.lua;;' LUA_CPATH='build/?.so;;'
BUSTED := $(LUA) /usr/bin/busted

all: build/gradient/core.so

build/gradient/core.so: $(SOURCES) $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(CC) $(C99) $(WARNINGS) $(HARDENING) $(CFLAGS) $(LUA_CFLAGS) $(CURL_CFLAGS) $(LINK) $(LDFLAGS) \
	  -o $@ $(SOURCES) $(CURL_LIBS) -lpthread -ldl

build/sanitized/gradient/core.so: $(SOURCES) $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(CC) $(C99) $(WARNINGS) -fvisibility=hidden $(SANITIZE) $(LUA_CFLAGS) $(CURL_CFLAGS) -shared \
	  -o $@ $(SOURCES) $(CURL_LIBS) -lpthread -ldl

build/sanitized/lua: spec/support/sanitized_lua.c Makefile
	@mkdir -p $(@D)
	$(CC) $(C99) $(WARNINGS) $(SANITIZE) $(LUA_CFLAGS) -o $@ $< -Wl,-E \
	  $(shell pkg-config --libs lua$(LUA_VERSION))

# The module as a static library, the Lua part included: link it, libcurl and Lua, and call
# luaL_requiref(L, "gradient", luaopen_gradient, 0).
build/static/lua_files.h: src/embed.lua $(addprefix lua/,$(LUA_FILES))
	@mkdir -p $(@D)
	$(LUA) src/embed.lua $(LUA_FILES) > $@

build/static/libgradient.a: $(SOURCES) $(HEADERS) src/embedded.c build/static/lua_files.h Makefile
	cd build/static && $(CC) $(C99) $(WARNINGS) $(HARDENING) $(CFLAGS) $(LUA_CFLAGS) \
	  $(CURL_CFLAGS) -I. -c $(addprefix ../../,$(SOURCES) src/embedded.c)
	rm -f $@
	$(AR) rcs $@ build/static/*.o

static: build/static/libgradient.a

install: all
	install -d $(LUA_LIBDIR)/gradient
	install -m 755 build/gradient/core.so $(LUA_LIBDIR)/gradient/core.so
	for file in $(LUA_FILES); do install -D -m 644 lua/$$file $(LUA_DIR)/$$file; done

clean:
	rm -rf build gradient src/*.o

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
  $$sudo apt-get update -qq; \
  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing \
    >/dev/null; \
fi
endef

demo:
	$(call install_packages,$(DEMO_PACKAGES))
	@$(MAKE) --no-print-directory -s all
	@$(BUILT) $(LUA) spec/support/demo.lua

test:
	$(call install_packages,$(TEST_PACKAGES))
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory specs sanitized-specs valgrind
	@awk '/ successes? \// { passed += $$1; failed += $$4 + $$7 } \
	  END { printf "%d passed, %d failed\n", passed, failed }' build/*.log

lint: build/static/lua_files.h
	luacheck --quiet lua spec .luacheckrc
	clang-format --dry-run -Werror src/*.c src/*.h
	clang-tidy --quiet src/*.c -- $(C99) -Ibuild/static $(LUA_CFLAGS) $(CURL_CFLAGS) 2>/dev/null
	cppcheck --quiet --enable=warning,performance,portability --error-exitcode=1 src

specs: all
	@echo "== specs =="
	@$(BUILT) $(BUSTED) | tee build/specs.log

sanitized-specs: build/sanitized/gradient/core.so build/sanitized/lua
	@echo "== specs under AddressSanitizer and UndefinedBehaviorSanitizer =="
	@$(BUILT) build/sanitized/lua /usr/bin/busted --cpath='build/sanitized/?.so' \
	  | tee build/sanitized.log

valgrind: all
	@echo "== specs under valgrind =="
	@$(BUILT) valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite \
	  --error-exitcode=9 $(BUSTED) spec/list_spec.lua spec/paginator_spec.lua \
	  | tee build/valgrind.log

.PHONY: all static install clean demo test lint specs sanitized-specs valgrind
