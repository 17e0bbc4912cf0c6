#include "text/byte_level.h"

#include <stdbool.h>

#include "text/utf8.h"

static bool stands_for_itself(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
}

// The bytes that do not are 00 to 20, 7F to A0, and AD.
uint32_t sc_byte_level_letter(uint8_t byte)
{
    if (stands_for_itself(byte)) return byte;
    if (byte <= 0x20) return 0x100u + byte;
    if (byte <= 0xA0) return 0x121u + (byte - 0x7Fu);
    return 0x143;
}

int sc_byte_level_byte(uint32_t c)
{
    if (stands_for_itself(c)) return (int)c;
    if (c >= 0x100 && c <= 0x120) return (int)(c - 0x100);
    if (c >= 0x121 && c <= 0x142) return (int)(c - 0x121 + 0x7F);
    return c == 0x143 ? 0xAD : -1;
}

size_t sc_byte_level_encode(uint8_t byte, char out[2])
{
    char bytes[4];
    size_t n = sc_utf8_encode(sc_byte_level_letter(byte), bytes);
    out[0] = bytes[0];
    if (n > 1) out[1] = bytes[1];
    return n;
}
