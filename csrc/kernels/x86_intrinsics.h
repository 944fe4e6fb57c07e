#pragma once
// <immintrin.h> without GCC 12's false alarms: the header passes an undefined register as the
// masked-off source of many AVX-512 intrinsics and warns of it wherever they are inlined (GCC bug
// 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
