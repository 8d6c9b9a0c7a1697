# Builds the host programs of spec/host_spec.lua: make -f spec/hosts/hosts.mk [TARGET…]
#
# The core is compiled into those that run under a sanitizer; others load build/gradient/core.so.

LUA_CFLAGS ?= $(shell pkg-config --cflags lua5.4)
LUA_LIBS ?= $(shell pkg-config --libs lua5.4)
CURL_CFLAGS ?= $(shell pkg-config --cflags libcurl)
CURL_LIBS ?= $(shell pkg-config --libs libcurl)

C99 := -std=c99 -D_GNU_SOURCE
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
CFLAGS_plain := -O1 -g
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
  -fno-sanitize-recover=all
CFLAGS_tsan := -O1 -g -fsanitize=thread
CFLAGS_gcov := -O0 -g --coverage

CORE := core client transfer json
OUT := build/hosts

compile = $(CC) $(C99) $(WARNINGS) $(CFLAGS_$(1)) -Isrc $(LUA_CFLAGS) $(CURL_CFLAGS)
libraries = $(LUA_LIBS) $(CURL_LIBS) -lm -lpthread -ldl

all: $(addprefix $(OUT)/,asan/host_torture asan/host_close asan/host_fork tsan/host_threads \
  plain/host_close plain/host_embed plain/host_small_stack plain/host_bounded plain/host_sandbox \
  plain/host_sandbox_static plain/host_confined host_private slow_names.so)

$(OUT)/slow_names.so: spec/hosts/slow_names.c
	@mkdir -p $(@D)
	$(CC) $(C99) $(WARNINGS) -fPIC -shared -o $@ $<

# With the whole module in it.
$(OUT)/plain/host_sandbox_static: spec/hosts/host_sandbox.c spec/hosts/host.h \
  build/static/libgradient.a
	@mkdir -p $(@D)
	$(call compile,plain) -DSTATIC -o $@ $< build/static/libgradient.a $(libraries)

# Without Lua.
$(OUT)/host_private: spec/hosts/host_private.c
	@mkdir -p $(@D)
	$(CC) $(C99) $(WARNINGS) -o $@ $< -ldl

# The core's own allocations can be refused.
$(OUT)/asan/host_torture $(OUT)/gcov/host_torture: LDFLAGS := \
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free

# $(1): plain, asan, tsan or gcov (make coverage)
define rules
$(OUT)/$(1)/%.o: src/%.c $(wildcard src/*.h)
	@mkdir -p $$(@D)
	$(call compile,$(1)) -c -o $$@ $$<

$(OUT)/$(1)/%.o: spec/hosts/%.c spec/hosts/host.h
	@mkdir -p $$(@D)
	$(call compile,$(1)) -c -o $$@ $$<

$(OUT)/$(1)/%.o: spec/fuzz/%.c spec/hosts/host.h
	@mkdir -p $$(@D)
	$(call compile,$(1)) -Ispec/hosts -c -o $$@ $$<

$(OUT)/$(1)/host_%: $(OUT)/$(1)/host_%.o $(if $(filter plain,$(1)),,$(CORE:%=$(OUT)/$(1)/%.o))
	$(CC) $(CFLAGS_$(1)) $$(LDFLAGS) -o $$@ $$^ $(libraries)
endef

$(foreach kind,plain asan tsan gcov,$(eval $(call rules,$(kind))))

.PHONY: all
.SECONDARY:
