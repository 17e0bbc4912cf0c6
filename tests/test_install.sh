#!/bin/bash
# What `make install` puts in place works for others: headers alone and from C++, the export list, pkg-config, the
# example program built against the installed library.
#
# usage: tests/test_install.sh BUILD_FOLDER
set -u
build=$1
source_root=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
passed=0 failed=0 skipped=0

check() { # check DESCRIPTION COMMAND...
    local what=$1
    shift
    if output=$("$@" 2>&1); then
        echo "ok - $what"
        passed=$((passed + 1))
    else
        echo "not ok - $what"
        printf '%s\n' "$output" | head -20
        failed=$((failed + 1))
    fi
}
skip() {
    echo "ok - $1 # skipped: $2"
    skipped=$((skipped + 1))
}

DESTDIR=$place meson install -C "$build" --no-rebuild --quiet || exit 1
prefix=$place$(meson introspect "$build" --buildoptions | tr '{' '\n' | sed -n 's/.*"name": "prefix", "value": "\([^"]*\)".*/\1/p')
library=$(dirname "$(find "$place" -name 'libsocle.so' | head -1)")

for header in adapter convert error machine model profile quantize session socle tokenizer_train; do
    check "socle/$header.h compiles alone as C11" cc -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
        -I"$prefix/include" -x c - <<<"#include <socle/$header.h>"
    if command -v c++ >/dev/null; then
        check "socle/$header.h compiles alone as C++" c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
            -I"$prefix/include" -x c++ - <<<"#include <socle/$header.h>"
    else
        skip "socle/$header.h compiles alone as C++" "no C++ compiler"
    fi
done

exported() { nm -D --defined-only "$library/libsocle.so" | awk '$2 == "T" { sub("@.*", "", $3); print $3 }' | sort; }
listed() { sed -n 's/^    \(socle_[a-z0-9_]*\);$/\1/p' "$source_root/src/api/socle.map" | sort; }
declared() {
    cat "$prefix"/include/socle/*.h | sed 's,//.*,,' | grep -oE '\bsocle_[a-z0-9_]+\(' | tr -d '(' | sort -u |
        grep -vE '_callback$'
}
check "the library exports exactly what socle.map lists" diff <(listed) <(exported)
check "the headers declare exactly what socle.map lists" diff <(listed) <(declared)
check "exported symbols carry a version" sh -c "nm -D --with-symbol-versions '$library/libsocle.so' | grep -q 'socle_generate@@SOCLE_0'"

sanitized=$(meson introspect "$build" --buildoptions | tr '{' '\n' | sed -n 's/.*"name": "b_sanitize", "value": "\([^"]*\)".*/\1/p')
flags=
[ "$sanitized" = none ] || flags=-fsanitize=$sanitized
export PKG_CONFIG_PATH=$library/pkgconfig PKG_CONFIG_SYSROOT_DIR=$place LD_LIBRARY_PATH=$library
# shellcheck disable=SC2046,SC2086 # lists of words
check "the example builds with pkg-config against the installed library" cc -std=c11 -Wall -Wextra -Werror $flags \
    "$source_root/examples/tell.c" -o "$place/tell" $(pkg-config --cflags --libs socle)
model=$(find "$place" -name tales.gguf | head -1)
check "the bundled model is installed" test -s "$model"
check "the example goes on with a text" sh -c "'$place/tell' '$model' 'Once upon a time' | grep -q '[a-z]'"
# shellcheck disable=SC2046,SC2086
check "the example links statically" cc -std=c11 $flags "$source_root/examples/tell.c" -o "$place/tell-static" \
    -I"$prefix/include" "$library/libsocle.a" -ljansson -lutf8proc -lpcre2-8 -lpthread -lm
check "the static example goes on with a text" sh -c "'$place/tell-static' '$model' 'Once upon a time' | grep -q '[a-z]'"
check "the program runs from where it is installed" sh -c "SOCLE_TALES='$model' '$prefix/bin/socle' run -n 5 -q </dev/null"
for page in socle socle-run socle-inspect socle-doctor; do
    check "$page(1) is installed" test -s "$prefix/share/man/man1/$page.1"
done
for file in bash-completion/completions/socle zsh/site-functions/_socle fish/vendor_completions.d/socle.fish; do
    check "the completion $file is installed" test -s "$prefix/share/$file"
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
