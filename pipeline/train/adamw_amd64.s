#include "textflag.h"

// func updateWide(p, d, m, v *float32, n int, k *coefficients)
// n is a multiple of 8 above 0. The operations and their order are those of coefficients.update, so the bits are too.
TEXT ·updateWide(SB), NOSPLIT, $0-48
	MOVQ p+0(FP), DI
	MOVQ d+8(FP), SI
	MOVQ m+16(FP), DX
	MOVQ v+24(FP), CX
	MOVQ n+32(FP), BX
	MOVQ k+40(FP), AX
	VBROADCASTSS 0(AX), Y8   // keep
	VBROADCASTSS 4(AX), Y9   // b1
	VBROADCASTSS 8(AX), Y10  // c1
	VBROADCASTSS 12(AX), Y11 // b2
	VBROADCASTSS 16(AX), Y12 // c2
	VBROADCASTSS 20(AX), Y13 // eps
	VBROADCASTSS 24(AX), Y14 // size
	VBROADCASTSS 28(AX), Y15 // scale
	VXORPS Y7, Y7, Y7

loop:
	VMOVUPS (SI), Y0
	VMULPS  (DX), Y9, Y1  // b1*m
	VMULPS  Y0, Y10, Y3   // c1*g
	VADDPS  Y3, Y1, Y1    // the new m
	VMULPS  Y0, Y12, Y4   // c2*g
	VMULPS  Y0, Y4, Y4    // c2*g*g
	VMULPS  (CX), Y11, Y2 // b2*v
	VADDPS  Y4, Y2, Y2    // the new v
	VSQRTPS Y2, Y5
	VMULPS  Y15, Y5, Y5
	VADDPS  Y13, Y5, Y5   // root*scale + eps
	VMULPS  Y1, Y14, Y6   // size*m
	VDIVPS  Y5, Y6, Y6
	VMULPS  (DI), Y8, Y3  // keep*p
	VSUBPS  Y6, Y3, Y3
	VMOVUPS Y3, (DI)
	VMOVUPS Y1, (DX)
	VMOVUPS Y2, (CX)
	VMOVUPS Y7, (SI)
	ADDQ    $32, DI
	ADDQ    $32, SI
	ADDQ    $32, DX
	ADDQ    $32, CX
	SUBQ    $8, BX
	JNZ     loop
	VZEROUPPER
	RET
