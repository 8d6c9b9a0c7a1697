/*
** compare_floats.c: floats as json_decode reads them, against the C library's strtod: numbers in
** the forms in which programs print them, and numbers in the middle between two doubles, just below
** it and just above, where the last of 767 digits may decide; for these the answer is known besides.
**
**   compare_floats NUMBERS MIDDLES
*/
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "json.h"

#define PLACES  1100 /* after the point, when a double is written with all its digits */
#define LONGEST 1500

static uint64_t random_bits(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state * 0x2545f4914f6cdd1d;
}

static int random_to(int limit) {
  return (int)(random_bits() >> 33) % limit;
}

static double from_bits(uint64_t bits) {
  double number;
  memcpy(&number, &bits, sizeof(number));
  return number;
}

/* ends the run if a text is not read as this number */
static void compare(lua_State *L, const char *text, double expected) {
  double found = NAN;
  if (json_decode(L, text, strlen(text), NULL) == 1 && lua_type(L, -1) == LUA_TNUMBER)
    found = (double)lua_tonumber(L, -1);
  lua_settop(L, 0);
  if (memcmp(&found, &expected, sizeof(found)) == 0)
    return;
  (void)fprintf(stderr, "%s was read as %a, and is %a\n", text, found, expected);
  exit(EXIT_FAILURE);
}

/* a number as programs print it, mostly of 17 digits: half of any size, half of a usual one */
static void write_number(char *text) {
  double number;
  do
    number = from_bits(random_bits());
  while (!isfinite(number));
  if (random_to(2) == 0)
    number = (double)(int64_t)random_bits() * pow(10, random_to(30) - 25);
  switch (random_to(6)) {
  case 0: (void)sprintf(text, "%.*e", random_to(30), number); break;
  case 1: (void)sprintf(text, "%.*f", 1 + random_to(30), number); break;
  case 2: /* digits that were never a double */
    (void)sprintf(text, "%d.%019" PRIu64 "e%d", random_to(10),
                  random_bits() % 10000000000000000000u, random_to(660) - 345);
    break;
  case 3: (void)sprintf(text, "%.17ge0", number); break;
  default: (void)sprintf(text, "%.16e", number);
  }
  if (strcspn(text, ".e") == strlen(text))
    (void)strcat(text, ".0");
  if (strchr(text, 'e') != strrchr(text, 'e'))
    *strrchr(text, 'e') = '\0';
}

/* writes the digits of a + b, both of them not negative, times 10^PLACES; returns their count */
static int write_sum(char *digits, double a, double b) {
  char other[LONGEST];
  int count = snprintf(digits, LONGEST, "%0*.*f", PLACES + 312, PLACES, a);
  int carry = 0;
  (void)snprintf(other, sizeof(other), "%0*.*f", PLACES + 312, PLACES, b);
  for (int i = count - 1; i >= 0; i--) {
    int digit = digits[i] - '0' + other[i] - '0' + carry;
    if (digits[i] == '.')
      continue;
    digits[i] = (char)('0' + digit % 10);
    carry = digit / 10;
  }
  memmove(strchr(digits, '.'), strchr(digits, '.') + 1, PLACES + 1);
  return count - 1;
}

/* writes a number, given as digits times 10^exponent, in one of the forms that there are */
static void spell(char *text, const char *digits, int exponent) {
  int point = (int)strlen(digits) + exponent; /* how many digits stand before it */
  int form = random_to(3);
  if (form == 0 && point > 0 && exponent < 0)
    (void)sprintf(text, "%.*s.%s", point, digits, digits + point);
  else if (form == 1 && point <= 0)
    (void)sprintf(text, "0.%0*d%s", 1 - point, 0, digits);
  else
    (void)sprintf(text, "%s.%se%d", digits, "0", exponent);
  if (form == 1 && point <= 0)
    memmove(text + 2, text + 3, strlen(text + 3) + 1);
}

static void compare_and_check(lua_State *L, const char *digits, int exponent, double known) {
  char text[2 * LONGEST];
  spell(text, digits, exponent);
  if (strtod(text, NULL) != known) {
    (void)fprintf(stderr, "%s is %a, but %a for strtod\n", text, known, strtod(text, NULL));
    exit(EXIT_FAILURE);
  }
  compare(L, text, known);
}

/* compares the middle between two doubles, and two numbers on either side of it */
static void compare_middle(lua_State *L) {
  char digits[LONGEST], near[LONGEST + 50];
  uint64_t bits = random_bits() % 0x7fe0000000000000; /* all but the largest have a middle above */
  double low, high;
  int count, exponent = -PLACES;
  if (random_to(8) == 0)
    bits >>= 11 + random_to(40); /* subnormal, or nearly so */
  if (random_to(2) == 0)         /* of a usual size: its middle has fewer digits */
    bits = (uint64_t)(1023 + random_to(60)) << 52 | bits >> 12;
  low = from_bits(bits);
  high = from_bits(bits + 1);
  /* five times the sum, a tenth of which is the middle: half of the least double is none */
  count = write_sum(digits, low, high);
  for (int i = count - 1, carry = 0; i >= 0; i--) {
    int product = (digits[i] - '0') * 5 + carry;
    digits[i] = (char)('0' + product % 10);
    carry = product / 10;
  }
  exponent--;
  for (; exponent < 0 && digits[count - 1] == '0'; exponent++)
    digits[--count] = '\0';
  memmove(digits, digits + strspn(digits, "0"), strlen(digits + strspn(digits, "0")) + 1);
  count = (int)strlen(digits);
  compare_and_check(L, digits, exponent, bits % 2 == 0 ? low : high);
  (void)sprintf(near, "%s%0*d", digits, 1 + random_to(40), 1);
  compare_and_check(L, near, exponent - ((int)strlen(near) - count), high);
  for (count--; digits[count] == '0'; count--)
    digits[count] = '9';
  digits[count]--;
  count = (int)strlen(digits);
  (void)sprintf(near, "%s%.*s", digits, 1 + random_to(30), "999999999999999999999999999999");
  compare_and_check(L, near, exponent - ((int)strlen(near) - count), low);
}

int main(int argc, char **argv) {
  long numbers = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
  long middles = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
  lua_State *L = luaL_newstate();
  char text[LONGEST];
  if (L == NULL)
    return EXIT_FAILURE;
  for (long i = 0; i < numbers; i++) {
    write_number(text);
    compare(L, text, strtod(text, NULL));
  }
  for (long i = 0; i < middles; i += 3)
    compare_middle(L);
  lua_close(L);
  (void)printf("%ld numbers and %ld about middles: no difference\n", numbers, middles);
  return EXIT_SUCCESS;
}
