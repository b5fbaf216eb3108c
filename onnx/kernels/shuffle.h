// Shuffles of two vectors of LANES elements by constant patterns, in gcc's and clang's words.
//
// LOWERs and UPPERs are the two outcomes of one stage of a transposition: rows i and i|s swap the elements whose column has
// bit s in the one and not in the other. AWAYs takes lane l's element from lane l+s, as far as there is one.
#if defined(ML_AVX512)
#define LANES_OF(f, s) f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s), f(8, s), f(9, s), f(10, s), f(11, s), f(12, s), f(13, s), f(14, s), f(15, s)
#elif defined(ML_AVX2)
#define LANES_OF(f, s) f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s)
#else
#define LANES_OF(f, s) f(0, s), f(1, s), f(2, s), f(3, s)
#endif

#define LOWER_LANE(l, s) ((l) & (s) ? LANES + (l) - (s) : (l))
#define UPPER_LANE(l, s) ((l) & (s) ? LANES + (l) : (l) + (s))
#define AWAY_LANE(l, s) (((l) + (s)) % LANES)
#define LOWER1 LANES_OF(LOWER_LANE, 1)
#define LOWER2 LANES_OF(LOWER_LANE, 2)
#define LOWER4 LANES_OF(LOWER_LANE, 4)
#define LOWER8 LANES_OF(LOWER_LANE, 8)
#define UPPER1 LANES_OF(UPPER_LANE, 1)
#define UPPER2 LANES_OF(UPPER_LANE, 2)
#define UPPER4 LANES_OF(UPPER_LANE, 4)
#define UPPER8 LANES_OF(UPPER_LANE, 8)
#define AWAY1 LANES_OF(AWAY_LANE, 1)
#define AWAY2 LANES_OF(AWAY_LANE, 2)
#define AWAY4 LANES_OF(AWAY_LANE, 4)
#define AWAY8 LANES_OF(AWAY_LANE, 8)
#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (whole){__VA_ARGS__})
#endif
