--- The program that runs this script, which is the one that is measured.
local index = 0
while arg[index - 1] do
  index = index - 1
end
return arg[index]
