export const clockTime = (wall) => new Date(wall).toTimeString().slice(0, 8)
