" Colours of shape formulas. Made by editors/words.py.
if exists('b:current_syntax')
  finish
endif

syntax keyword sdfDeclaration const displacement fn mapper profile shape use
syntax keyword sdfOperator and not or
syntax keyword sdfValue false true
syntax keyword sdfConstant pi tau
syntax keyword sdfPrior choice integer log_uniform normal triangular uniform unit_vec2 unit_vec3
syntax keyword sdfFunction abs acos all any asin atan atan2 cbrt ceil cells clamp cos cosh cross deepest degrees dot exp exp2 floor fract hash hypot len length log log2 mat2 mat3 max min mix mod noise normalize pow radians round sign signed sin sinh smoothstep sqrt step sum tan tanh transpose trunc vec2 vec3 vec4 where
syntax keyword sdfType bool float int
syntax keyword sdfGiven d distance grid intensity offset p q t value w
syntax keyword sdfOther fold then when
syntax match sdfNumber /\<\d\+\.\?\d*\%([eE][-+]\?\d\+\)\?\>\|\.\d\+\%([eE][-+]\?\d\+\)\?\>/
syntax match sdfName /"[^"]*"/
syntax match sdfSign /[-+*\/^<>=!~]/
syntax match sdfComment /#.*$/ contains=@Spell
syntax match sdfDoc /##.*$/ contains=@Spell

highlight default link sdfDeclaration Structure
highlight default link sdfOperator Operator
highlight default link sdfOther Keyword
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
