# lpool. `make help` lists the targets; config.mk overrides the settings.
-include config.mk

PREFIX   ?= /usr/local
LUA_PC   ?= lua5.4
LUA      ?= lua5.4
OBJCOPY  ?= $(shell $(CC) -print-prog-name=objcopy)
BINDIR   ?= $(PREFIX)/bin
LIBDIR   ?= $(PREFIX)/lib
INCDIR   ?= $(PREFIX)/include
MANDIR   ?= $(PREFIX)/share/man
# Where lua5.4 looks for modules: those in C, and those in Lua.
LUA_CMOD ?= $(PREFIX)/lib/lua/5.4
LUA_LMOD ?= $(PREFIX)/share/lua/5.4
SANITIZE ?=
WERROR   ?=
PATIENCE ?= $(if $(SANITIZE),5,1)
BUILD    ?= build/$(or $(SANITIZE),release)
CFLAGS   ?= -O2 -g
# gcc optimizes the library as a whole. If empty, it is compiled by files.
LTO_FLAGS := -flto -flto-partition=one -flinker-output=nolto-rel -r
LTO      ?= $(if $(SANITIZE),,$(shell $(CC) $(LTO_FLAGS) -x c - -o /dev/null \
              </dev/null 2>/dev/null && echo yes))
LTO      := $(LTO)
VERSION  := $(shell sed -n 's/^.define LPOOL_VERSION_[A-Z]* *//p' \
              runtime/include/lpool.h | paste -sd.)

SOVERSION := $(firstword $(subst ., ,$(VERSION)))

# On a bare machine pkg-config says nothing; `make setup` mends that.
pkg_config = $(shell pkg-config $(1) $(LUA_PC) 2>/dev/null)

# Lua is linked in whole: the program starts faster, and C modules still find
# Lua's symbols in it. Where there is no static library, the shared one serves.
LUA_A    ?= $(wildcard $(call pkg_config,--variable=libdir)/lib$(LUA_PC).a)
WHOLE_A  := -Wl,--whole-archive $(LUA_A) -Wl,--no-whole-archive -lm
LDLIBS   += $(if $(LUA_A),$(WHOLE_A),$(call pkg_config,--libs)) -ldl
LDLIBS   := $(LDLIBS)

# What only tests want: lock order and owners checked, allocations that fail.
TEST_CPPFLAGS := -DLP_DEBUG -DLP_TEST_ALLOC

LP_CPPFLAGS := -Iruntime -Iruntime/include $(call pkg_config,--cflags)
LP_CPPFLAGS += $(if $(SANITIZE),$(TEST_CPPFLAGS)) $(CPPFLAGS)
LP_CFLAGS   := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread
LP_CFLAGS   += -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
LP_CFLAGS   += -Wmissing-declarations $(if $(WERROR),-Werror)
ifneq ($(SANITIZE),)
LP_CFLAGS   += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
LP_CFLAGS   += $(CFLAGS)

# make V=1 shows the commands, else their names stand for them.
say     := @$(if $(V),:,echo "  ")
Q       := $(if $(V),,@)
COMPILE  = $(Q)$(CC) $(LP_CPPFLAGS) $(LP_CFLAGS)
LINK     = $(Q)$(CC) $(LP_CFLAGS) $(LDFLAGS)

CLI_SRC  := $(wildcard runtime/cli/*.c)
LIB_SRC  := $(filter-out runtime/cli/% runtime/tools/%,$(wildcard runtime/*/*.c))
# The codec has no threads, and its failing allocators wear the thread
# sanitizer out, which takes all memory for each longjmp.
C_SPECS  := $(filter-out $(if $(findstring thread,$(SANITIZE)),%/codec_test.c),\
              $(wildcard spec/c/*.c))
LUA_SRC  := $(sort $(shell find lua -name '*.lua'))

CLI_OBJ  := $(CLI_SRC:%.c=$(BUILD)/%.o)
PARTS    := $(LIB_SRC:%.c=$(BUILD)/%.o)
LIB_OBJ  := $(if $(LTO),$(BUILD)/whole.o,$(PARTS) $(BUILD)/bundle_data.o)
# The C specs have a library of their own, with the checks for tests built in.
TEST_OBJ := $(LIB_SRC:%.c=$(BUILD)/test/%.o) $(BUILD)/bundle_data.o
TEST_BIN := $(C_SPECS:%.c=$(BUILD)/test/%)

.PHONY: build tools setup demo test test-lua test-c test-stock stress bench bench-setup bench-peers bench-all bench-check lint check \
        stage install install-lib install-module uninstall dist clean help FORCE
.SECONDARY:
.DELETE_ON_ERROR:

SHARED   := liblpool.so.$(VERSION)
build: $(BUILD)/lpool $(BUILD)/liblpool.a $(BUILD)/$(SHARED) \
       $(BUILD)/core.so  ## compile the program, the library and the module
	$(if $(filter build/release,$(BUILD)),@ln -sfn $(BUILD)/lpool lpool)

# One object, of machine code, which shows only what lpool.h declares.
$(BUILD)/whole.o: $(PARTS) $(BUILD)/bundle_data.o
	$(say) ld $@
	$(Q)$(CC) $(LP_CFLAGS) $(LTO_FLAGS) -o $@ $^
	$(Q)$(OBJCOPY) --localize-hidden $@

$(PARTS): LP_CFLAGS += $(if $(LTO),-flto)

# Objects of one compiler are nothing to another, nor are those for LTO.
$(BUILD)/compiler: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(LTO) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(LTO) $(CFLAGS)' > $@
$(PARTS) $(CLI_OBJ) $(TEST_OBJ) $(TEST_BIN:=.o): $(BUILD)/compiler

$(BUILD)/liblpool.a: $(LIB_OBJ)
	$(say) ar $@
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/lpool: $(CLI_OBJ) $(BUILD)/liblpool.a
	$(say) ld $@
	$(LINK) -rdynamic -Wl,-z,now -o $@ $^ $(LDLIBS)

# Lua is the host's: a second one in the same program would not know the
# first one's states. What was loaded once stays, since its threads may be
# about to end when the last state that used it is closed.
$(BUILD)/$(SHARED): $(LIB_OBJ)
	$(say) ld $@
	$(LINK) -shared -Wl,-soname,liblpool.so.$(SOVERSION) \
	  -Wl,-Bsymbolic-functions -Wl,-z,nodelete -o $@ $^

# The module for lua5.4 is the whole library, but shows only what require
# looks for.
$(BUILD)/core.so: $(LIB_OBJ)
	$(say) ld $@
	@mkdir -p $(@D)
	@echo '{ global: luaopen_lpool_core; local: *; };' > $(BUILD)/core.map
	$(LINK) -shared -Xlinker --version-script=$(BUILD)/core.map \
	  -Wl,-z,nodelete -o $@ $^

# Installed libraries look for the installed program.
$(BUILD)/program_path: FORCE
	@mkdir -p $(@D)
	@echo '$(BINDIR)/lpool' | cmp -s - $@ || echo '$(BINDIR)/lpool' > $@
$(BUILD)/runtime/api/find_helper.o: $(BUILD)/program_path
$(BUILD)/runtime/api/find_helper.o: LP_CPPFLAGS += -DLP_PROGRAM_PATH='"$(BINDIR)/lpool"'

$(BUILD)/%.o: %.c Makefile | tools
	$(say) cc $@
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

$(BUILD)/bundle_data.o: $(BUILD)/bundle_data.c
	$(say) cc $@
	$(COMPILE) -c -o $@ $<

# Folders are prerequisites too: a file taken away shows only there.
$(BUILD)/bundle_data.c: $(BUILD)/bundle_lua $(LUA_SRC) $(sort $(dir $(LUA_SRC)))
	$(say) lua $@
	$(Q)$(BUILD)/bundle_lua $@ lua $(LUA_SRC)

$(BUILD)/bundle_lua: $(BUILD)/runtime/tools/bundle_lua.o
	$(say) ld $@
	$(LINK) -o $@ $^ $(LDLIBS)

tools:
	@command -v $(firstword $(CC)) >/dev/null && pkg-config --exists $(LUA_PC) || \
	  { echo "lpool: $(CC), pkg-config and $(LUA_PC) are needed; try 'make setup'" >&2; \
	    exit 1; }

setup:  ## install what building and testing need
	@sh .ci/setup

# A second make, because this one looked around before set-up had installed all;
# on all processors, unless the caller chose how many.
again = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$$(nproc))

demo: setup  ## set up, build, and count words of real files in parallel
	@$(again) build
	./lpool scripts/practical/word_count.lua

test: setup  ## set up, build, run all specs; BUSTED_ARGS selects those in Lua
	@status=0; for part in test-lua test-c; do $(again) $$part || status=1; done; \
	  exit $$status

# TEST_RUNNER is what to run the specs under, such as valgrind.
test-lua: build stage  ## run the specs in Lua, inside lpool itself
	@LPOOL_PROGRAM=$(abspath $(BUILD))/lpool LPOOL_BUILD=$(BUILD) LPOOL_SANITIZE=$(SANITIZE) LPOOL_PATIENCE=$(PATIENCE) \
	  $(if $(LPOOL_STRESS),LPOOL_STRESS=$(LPOOL_STRESS)) \
	  $(TEST_RUNNER) $(BUILD)/lpool spec/run.lua $(BUSTED_ARGS)

# The modules of the stage come first; those of this folder are the specs'.
STAGED = $(abspath $(BUILD))/stage$(1)
test-stock: stage  ## run the specs in Lua inside stock lua5.4, with what was installed
	@LPOOL_PROGRAM=$(LUA) LPOOL_PATIENCE=$(PATIENCE) \
	  LUA_PATH="$(call STAGED,$(LUA_LMOD))/?.lua;$(call STAGED,$(LUA_LMOD))/?/init.lua;;" \
	  LUA_CPATH="$(call STAGED,$(LUA_CMOD))/?.so;;" \
	  $(TEST_RUNNER) $(LUA) spec/run.lua --lpath= --exclude-tags=program \
	  $(or $(BUSTED_ARGS),$(wildcard spec/*_spec.lua))

# The scenarios of spec/stress with their full numbers; allow for some minutes.
stress: build  ## run the stress specs at full load
	@$(again) test-lua LPOOL_STRESS=full BUSTED_ARGS='$(BUSTED_ARGS) spec/stress'

test-c: $(TEST_BIN)  ## run the specs in C
	@status=0; for test in $(TEST_BIN); do \
	  $(TEST_RUNNER) $$test || { echo "# $$test: exit code $$?"; status=1; }; \
	done; exit $$status

$(BUILD)/test/liblpool.a: $(TEST_OBJ)
	$(say) ar $@
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/test/%.o: %.c Makefile | tools
	$(say) cc $@
	@mkdir -p $(@D)
	$(COMPILE) $(TEST_CPPFLAGS) -Ispec/c -MMD -MP -c -o $@ $<

$(TEST_BIN): $(BUILD)/test/%: $(BUILD)/test/%.o $(BUILD)/test/liblpool.a
	$(say) ld $@
	$(LINK) -rdynamic -o $@ $^ $(LDLIBS)

bench: build  ## measure speed and memory, side by side with python3
	@sh .ci/setup bench
	$(BUILD)/lpool bench/run.lua $(BENCH_ARGS)

bench-setup:  ## install the other peers, which bench-all measures if it finds them
	@sh .ci/setup bench peers
	npm install --prefix build/bench --no-fund --no-audit piscina@5

bench-peers: build/bench/floor
	@if command -v go >/dev/null; then $(again) build/bench/channels; fi

build/bench/floor: bench/peers/floor.c
	$(say) cc $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(LP_CFLAGS) -o $@ $<

build/bench/channels: bench/peers/channels.go
	$(say) go $@
	$(Q)GOCACHE=$(abspath build/bench/go-cache) go build -o $@ $<

bench-all: build bench-peers  ## measure it beside all peers found, and write docs/performance.md
	@sh .ci/setup bench
	$(BUILD)/lpool bench/run.lua --all --out build/bench/rows.jsonl $(BENCH_ARGS)
	$(BUILD)/lpool bench/account.lua build/bench/account.jsonl
	$(BUILD)/lpool bench/report.lua build/bench/rows.jsonl build/bench/account.jsonl

bench-check: build build/bench/floor  ## fail if a hot row costs 15 % more than bench/baseline.json
	$(BUILD)/lpool bench/check.lua $(BENCH_ARGS)

lint:  ## check style: luacheck, clang-format, clang, clang-tidy
	luacheck -q lua spec scripts bench
	clang-format --dry-run -Werror $(wildcard runtime/*/*.[ch] spec/c/*.[ch] bench/peers/*.c)
	clang -fsyntax-only -Werror -Wthread-safety $(LP_CPPFLAGS) $(LP_CFLAGS) \
	  $(LIB_SRC) $(CLI_SRC)
	clang-tidy --quiet $(LIB_SRC) $(CLI_SRC) -- $(LP_CPPFLAGS) $(LP_CFLAGS)

check:  ## lint, then the specs plain and under each sanitizer
	@sh .ci/setup check
	$(MAKE) lint
	$(MAKE) test
	$(MAKE) test SANITIZE=address,undefined
	$(MAKE) test SANITIZE=thread

TO = $(DESTDIR)$(1)

# The same paths, from the folder that pkg-config knows as prefix if they are
# below it.
of_prefix = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))

install: install-lib install-module  ## install under DESTDIR and PREFIX
	install -d $(call TO,$(MANDIR)/man1)
	install -m 644 docs/lpool.1 $(call TO,$(MANDIR)/man1)
	$(if $(DESTDIR),,-ldconfig 2>/dev/null || true)

install-lib: build  # the C library, without what needs it
	install -d $(foreach dir,$(INCDIR) $(LIBDIR)/pkgconfig $(MANDIR)/man3,$(call TO,$(dir)))
	install -m 644 runtime/include/lpool.h $(call TO,$(INCDIR))
	install -m 644 $(BUILD)/liblpool.a $(call TO,$(LIBDIR))
	install -m 644 $(BUILD)/$(SHARED) $(call TO,$(LIBDIR))
	ln -sf $(SHARED) $(call TO,$(LIBDIR)/liblpool.so.$(SOVERSION))
	ln -sf liblpool.so.$(SOVERSION) $(call TO,$(LIBDIR)/liblpool.so)
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(call of_prefix,$(LIBDIR))' \
	  'includedir=$(call of_prefix,$(INCDIR))' '' 'Name: lpool' \
	  'Description: executors and futures for Lua' 'Version: $(VERSION)' \
	  'Requires: $(LUA_PC)' 'Cflags: -I$${includedir}' \
	  'Libs: -L$${libdir} -llpool' 'Libs.private: -pthread -lm -ldl' \
	  > $(call TO,$(LIBDIR)/pkgconfig/lpool.pc)
	install -m 644 docs/lpool.3 $(call TO,$(MANDIR)/man3)

MODULE_BINDIR = $(or $(ROCK_BINDIR),$(BINDIR))
install-module: build  # what `require "lpool"` of lua5.4 needs
	install -d $(foreach dir,$(MODULE_BINDIR) $(LUA_CMOD)/lpool $(LUA_LMOD)/lpool,$(call TO,$(dir)))
	install $(BUILD)/lpool $(call TO,$(MODULE_BINDIR))
	install -m 644 $(BUILD)/core.so $(call TO,$(LUA_CMOD)/lpool)
	install -m 644 $(wildcard lua/lpool/*.lua) $(call TO,$(LUA_LMOD)/lpool)

uninstall:  ## remove what install put there
	rm -f $(foreach file,$(BINDIR)/lpool $(INCDIR)/lpool.h $(LIBDIR)/liblpool.a \
	  $(LIBDIR)/$(SHARED) $(LIBDIR)/liblpool.so.$(SOVERSION) $(LIBDIR)/liblpool.so \
	  $(LIBDIR)/pkgconfig/lpool.pc $(LUA_CMOD)/lpool/core.so \
	  $(patsubst lua/%,$(LUA_LMOD)/%,$(LUA_SRC)) \
	  $(MANDIR)/man1/lpool.1 $(MANDIR)/man3/lpool.3,$(call TO,$(file)))
	-rmdir $(call TO,$(LUA_CMOD)/lpool) $(call TO,$(LUA_LMOD)/lpool) 2>/dev/null

stage: build  # what the specs build hosts against
	@$(MAKE) --no-print-directory -s install DESTDIR=$(call STAGED,)
	@sed -i 's|^prefix=.*|prefix=$(call STAGED,$(PREFIX))|' \
	  $(call STAGED,$(LIBDIR))/pkgconfig/lpool.pc

DIST ?= lpool-$(VERSION).tar.gz
dist:  ## make lpool-VERSION.tar.gz of what is committed
	git archive --prefix=lpool-$(VERSION)/ -o $(DIST) HEAD

clean:  ## remove what was built
	rm -rf build lpool

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-11s %s\n", $$1, $$2}' Makefile

-include $(PARTS:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(TEST_BIN:=.d)
