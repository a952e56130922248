/* json.c - texts and numbers. */
#include "base/json.h"

#include <stddef.h>
#include <string.h>

static const char hex[] = "0123456789abcdef";

char *lp_json_raw(char *at, const char *text)
{
    return stpcpy(at, text);
}

/* Whether so many bytes that continue a character are there. */
static int continues(const unsigned char *text, int count)
{
    for (int i = 0; i < count; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    return 1;
}

/* Bytes of the character of UTF-8 that text begins with; 0: it is none. */
static int utf8_length(const unsigned char *text)
{
    unsigned char first = text[0], second = first ? text[1] : 0;
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first < 0xE0) return continues(text + 1, 1) ? 2 : 0;
    if (first >= 0xE0 && first < 0xF0) {
        if (first == 0xE0 && second < 0xA0) return 0;  /* too long a form */
        if (first == 0xED && second >= 0xA0) return 0; /* a surrogate */
        return continues(text + 1, 2) ? 3 : 0;
    }
    if (first >= 0xF0 && first < 0xF5) {
        if (first == 0xF0 && second < 0x90) return 0;  /* too long a form */
        if (first == 0xF4 && second >= 0x90) return 0; /* past the last */
        return continues(text + 1, 3) ? 4 : 0;
    }
    return 0;
}

char *lp_json_text(char *at, const char *text)
{
    const unsigned char *from = (const unsigned char *)text;
    while (*from) {
        int length = utf8_length(from);
        if (length == 0 || *from < 0x20) {
            at = lp_json_raw(at, "\\u00");
            *at++ = hex[*from >> 4];
            *at++ = hex[*from & 15];
            from++;
            continue;
        }
        if (*from == '"' || *from == '\\') *at++ = '\\';
        memcpy(at, from, (size_t)length);
        at += length;
        from += length;
    }
    return at;
}

char *lp_json_number(char *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

char *lp_json_microseconds(char *at, int64_t nanoseconds)
{
    uint64_t time = nanoseconds > 0 ? (uint64_t)nanoseconds : 0;
    unsigned rest = (unsigned)(time % 1000);
    at = lp_json_number(at, time / 1000);
    *at++ = '.';
    *at++ = (char)('0' + rest / 100);
    *at++ = (char)('0' + rest / 10 % 10);
    *at++ = (char)('0' + rest % 10);
    return at;
}
