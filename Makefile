# lpool. `make help` lists the targets; config.mk overrides the settings.
-include config.mk

PREFIX   ?= /usr/local
LUA_PC   ?= lua5.4
SANITIZE ?=
WERROR   ?=
PATIENCE ?= $(if $(SANITIZE),5,1)
BUILD    ?= build/$(or $(SANITIZE),release)
CFLAGS   ?= -O2 -g
VERSION  := $(shell sed -n 's/^.define LPOOL_VERSION_[A-Z]* *//p' \
              runtime/include/lpool.h | paste -sd.)

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
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o) $(BUILD)/bundle_data.o
# The C specs have a library of their own, with the checks for tests built in.
TEST_OBJ := $(LIB_SRC:%.c=$(BUILD)/test/%.o) $(BUILD)/bundle_data.o
TEST_BIN := $(C_SPECS:%.c=$(BUILD)/test/%)

.PHONY: build tools setup demo test test-lua test-c stress bench lint check install \
        uninstall clean help
.SECONDARY:
.DELETE_ON_ERROR:

build: $(BUILD)/lpool $(BUILD)/liblpool.a  ## compile the program and the library
	$(if $(SANITIZE),,@ln -sfn $(BUILD)/lpool lpool)

$(BUILD)/liblpool.a: $(LIB_OBJ)
	$(say) ar $@
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/lpool: $(CLI_OBJ) $(BUILD)/liblpool.a
	$(say) ld $@
	$(LINK) -rdynamic -Wl,-z,now -o $@ $^ $(LDLIBS)

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

$(BUILD)/lpool.pc: Makefile runtime/include/lpool.h
	@mkdir -p $(@D)
	printf '%s\n' 'Name: lpool' 'Description: executors and futures for Lua' \
	  'Version: $(VERSION)' 'Requires: $(LUA_PC)' \
	  'Cflags: -I$(PREFIX)/include' 'Libs: -L$(PREFIX)/lib -llpool -pthread' > $@

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
test-lua: build  ## run the specs in Lua, inside lpool itself
	@LPOOL_PROGRAM=$(abspath $(BUILD))/lpool LPOOL_PATIENCE=$(PATIENCE) \
	  $(if $(LPOOL_STRESS),LPOOL_STRESS=$(LPOOL_STRESS)) \
	  $(TEST_RUNNER) $(BUILD)/lpool spec/run.lua $(BUSTED_ARGS)

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

lint:  ## check style: luacheck, clang-format, clang, clang-tidy
	luacheck -q lua spec scripts bench
	clang-format --dry-run -Werror $(wildcard runtime/*/*.[ch] spec/c/*.[ch])
	clang -fsyntax-only -Werror -Wthread-safety $(LP_CPPFLAGS) $(LP_CFLAGS) \
	  $(LIB_SRC) $(CLI_SRC)
	clang-tidy --quiet $(LIB_SRC) $(CLI_SRC) -- $(LP_CPPFLAGS) $(LP_CFLAGS)

check:  ## lint, then the specs plain and under each sanitizer
	@sh .ci/setup check
	$(MAKE) lint
	$(MAKE) test
	$(MAKE) test SANITIZE=address,undefined
	$(MAKE) test SANITIZE=thread

install: build $(BUILD)/lpool.pc  ## install under DESTDIR and PREFIX
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin include lib/pkgconfig share/man/man1)
	install $(BUILD)/lpool $(DESTDIR)$(PREFIX)/bin
	install -m 644 runtime/include/lpool.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(BUILD)/liblpool.a $(DESTDIR)$(PREFIX)/lib
	install -m 644 $(BUILD)/lpool.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 docs/lpool.1 $(DESTDIR)$(PREFIX)/share/man/man1

uninstall:  ## remove what install put there
	cd $(DESTDIR)$(PREFIX) && rm -f bin/lpool include/lpool.h lib/liblpool.a \
	  lib/pkgconfig/lpool.pc share/man/man1/lpool.1

clean:  ## remove what was built
	rm -rf build lpool

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' Makefile

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(TEST_BIN:=.d)
