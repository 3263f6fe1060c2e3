" Colours of shape formulas. Made by editors/words.py.
if exists('b:current_syntax')
  finish
endif

syntax keyword sdfDeclaration displacement fn mapper profile shape use
syntax keyword sdfOperator and not or
syntax keyword sdfValue false true
syntax keyword sdfConstant pi tau
syntax keyword sdfPrior normal uniform
syntax keyword sdfFunction abs acos all any asin atan2 ceil clamp cos cross deepest dot exp floor len length log max min mix mod normalize pow round sign signed sin smoothstep sqrt step sum tan vec2 vec3 where
syntax keyword sdfType bool float int
syntax keyword sdfGiven d distance grid intensity offset p q t value
syntax match sdfNumber /\<\d\+\.\?\d*\%([eE][-+]\?\d\+\)\?\>\|\.\d\+\%([eE][-+]\?\d\+\)\?\>/
syntax match sdfName /"[^"]*"/
syntax match sdfSign /[-+*\/^<>=!~]/
syntax match sdfComment /#.*$/ contains=@Spell
syntax match sdfDoc /##.*$/ contains=@Spell

highlight default link sdfDeclaration Structure
highlight default link sdfOperator Operator
highlight default link sdfValue Boolean
highlight default link sdfConstant Constant
highlight default link sdfPrior Function
highlight default link sdfFunction Function
highlight default link sdfType Type
highlight default link sdfGiven Identifier
highlight default link sdfNumber Number
highlight default link sdfName String
highlight default link sdfSign Operator
highlight default link sdfComment Comment
highlight default link sdfDoc SpecialComment

let b:current_syntax = 'sdf'
